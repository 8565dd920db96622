import { Box, Button, CircularProgress, Typography } from "@mui/material";
import { Component, lazy, Suspense, type ReactNode } from "react";
import { Redirect, Route, Switch, useLocation } from "wouter";
import { Page, Shell } from "./components/Shell";
import { translate, useI18n } from "./i18n";
import { MeetingsPage } from "./pages/meetings/MeetingsPage";

const MeetingPage = lazy(() => import("./pages/meetings/MeetingPage"));
const VoicesPage = lazy(() => import("./pages/voices/VoicesPage"));
const ChatPage = lazy(() => import("./pages/chat/ChatPage"));
const DiagramsPage = lazy(() => import("./pages/diagrams/DiagramsPage"));
const AdminPage = lazy(() => import("./pages/admin/AdminPage"));

export function App() {
  const [location] = useLocation();
  return (
    <Shell>
      <Boundary key={location}>
        <Suspense fallback={<Waiting />}>
          <Switch>
            <Route path="/">
              <Redirect to="/reunions" replace />
            </Route>
            <Route path="/reunions">
              <MeetingsPage />
            </Route>
            <Route path="/reunions/:id">{({ id }) => <MeetingPage key={id} id={id} />}</Route>
            <Route path="/voix">
              <VoicesPage />
            </Route>
            <Route path="/discussion">
              <ChatPage />
            </Route>
            <Route path="/diagrammes">
              <DiagramsPage />
            </Route>
            <Route path="/supervision">
              <AdminPage />
            </Route>
            <Route>
              <NotFound />
            </Route>
          </Switch>
        </Suspense>
      </Boundary>
    </Shell>
  );
}

function Waiting() {
  const { t } = useI18n();
  return (
    <Box sx={{ display: "grid", placeItems: "center", minHeight: 240 }}>
      <CircularProgress aria-label={t("common.loading")} />
    </Box>
  );
}

function NotFound() {
  const { t } = useI18n();
  return (
    <Page>
      <Typography variant="h1" gutterBottom>
        404
      </Typography>
      <Typography>{t("app.notFound")}</Typography>
    </Page>
  );
}

/** A page that breaks says so and leaves the rest standing. */
class Boundary extends Component<{ children: ReactNode }, { broken: boolean }> {
  override state = { broken: false };

  static getDerivedStateFromError(): { broken: boolean } {
    return { broken: true };
  }

  override render(): ReactNode {
    if (!this.state.broken) return this.props.children;
    return (
      <Page>
        <Typography variant="h2" gutterBottom>
          {translate("app.crash")}
        </Typography>
        <Button variant="contained" onClick={() => location.reload()}>
          {translate("app.reload")}
        </Button>
      </Page>
    );
  }
}
