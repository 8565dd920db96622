import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

const BACKEND = "http://127.0.0.1:5000";

export default defineConfig({
  plugins: [react()],
  build: {
    target: "es2022",
    // Nothing inlined as data: URLs, so that the page runs under a strict Content-Security-Policy.
    assetsInlineLimit: 0,
    // Mermaid alone is past the default limit; it is in lazy chunks.
    chunkSizeWarningLimit: 1500,
  },
  server: { proxy: { "/api": BACKEND, "/v1": BACKEND } },
  test: { environment: "node", include: ["src/**/*.test.ts"] },
});
