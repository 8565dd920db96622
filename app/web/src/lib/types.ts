/** Wire types of app's routes, as DESIGN §2 gives them. */

export type MeetingState = "queued" | "running" | "done" | "failed" | "cancelled";
export type StepState = "pending" | "running" | "waiting" | "done" | "failed";

export interface Step {
  name: string;
  state: StepState;
  progress: number | null;
  seconds: number | null;
  error?: StepError | null;
  /** Seconds of the recording that are done, of how many; left out by steps that do not count them. */
  seconds_done?: number;
  seconds_total?: number;
  /** Seconds of the recording per second of work. */
  rate?: number;
  /** Seconds of work that are left; only while it runs. */
  eta_seconds?: number;
}

export type StepError = string | { message?: string; service?: string };

export interface Word {
  word: string;
  start: number;
  end: number;
}

export interface Segment {
  speaker: string | null;
  start: number;
  end: number;
  text: string;
  words?: Word[];
}

/** Something of the minutes and, in seconds, when it was said. */
export interface Said {
  seconds?: number | null;
}

export interface Point extends Said {
  text: string;
}

export interface Action extends Said {
  who?: string | null;
  what: string;
  when?: string | null;
}

export interface Minutes {
  summary: string;
  /** Plain strings in the minutes of before they had moments. */
  decisions: (Point | string)[];
  actions: Action[];
  open_points: (Point | string)[];
  markdown?: string;
}

export interface GraphNode {
  id: string;
  label: string;
  kind?: string;
  actor?: string;
  source?: { start?: number; end?: number; score?: number; start_s?: number | null; end_s?: number | null } | null;
}

/** The kinds that a model writes under a schema; Mermaid has others, which it writes as they are. */
export const DIAGRAM_KINDS = [
  "flowchart",
  "sequence",
  "class",
  "state",
  "er",
  "gantt",
  "mindmap",
  "timeline",
  "journey",
  "pie",
] as const;

export type DiagramKind = (typeof DIAGRAM_KINDS)[number];

/** A flowchart has nodes and edges, the other kinds lists of their own (participants, tasks…). */
export interface DiagramGraph {
  nodes?: GraphNode[];
  edges?: { from: string; to: string; label?: string }[];
}

export interface Diagram {
  mermaid: string;
  /** null: no parser was there to say so. */
  valid: boolean | null;
  kind?: string;
  graph?: DiagramGraph | null;
  /** What the sources of `graph` refer to, when it is not the text that was sent. */
  text?: string;
  repairs?: number;
  /** null: no model was needed. */
  model?: string | null;
  warnings?: string[];
  /** An editable copy at mermaid.live: the diagram is in the address. */
  live_url?: string;
}

/** What the parser says of a Mermaid text. */
export interface Verdict {
  valid: boolean | null;
  kind?: string | null;
  error?: { line: number | null; message: string };
}

export interface MeetingSummary {
  id: string;
  title: string;
  state: MeetingState;
  created_at: string | number;
  duration: number | null;
  language?: string | null;
  synthetic?: boolean;
  steps?: Step[];
}

export interface Meeting extends MeetingSummary {
  steps: Step[];
  speakers: Record<string, string>;
  segments: Segment[];
  minutes: Minutes | null;
  diagram: Diagram | null;
  /** Speakers whose voice was known: under which name, and how alike the voices are (cosine, 0 to 1). */
  recognised?: Record<string, { name: string; similarity: number | null }>;
  models: { asr?: string | null; diarize?: string | null; chat?: string | null };
  warnings: string[];
  error?: string | { message?: string } | null;
}

/** Somebody whom diarize knows by voice; never the voice itself. */
export interface KnownVoice {
  id: string;
  name: string;
  /** Seconds of speech that it was taken from. */
  seconds: number;
  model: string;
  created: string;
}

export interface ServiceStatus {
  name: string;
  state: "up" | "down" | string;
}

export interface ModelInfo {
  key: string;
  aliases?: string[];
  hub_id?: string | null;
  family?: string;
  parameters?: number;
  context?: number;
  licence?: string;
  gated?: boolean;
  languages?: string[];
  embedded?: boolean;
  demo?: boolean;
  state: string;
  progress?: number | null;
  bytes_done?: number | null;
  bytes_total?: number | null;
  /** Left out when it is not known. */
  eta_seconds?: number;
  error?: string | { message?: string } | null;
  /** An estimate; `resident_bytes` is measured, once it is loaded. */
  need_bytes?: number | null;
  resident_bytes?: number | null;
  engine?: string | null;
  quantization?: string | null;
  /** The order in which `auto` prefers, 1 first. */
  rank?: number | null;
  fits?: boolean | null;
  reason?: string | null;
  note?: string | null;
  /** The state in each replica, when it is not the same in all of them. */
  replicas?: ModelReplica[];
}

export interface ModelReplica extends Pick<ModelInfo, "state" | "error" | "progress"> {
  url: string;
}

export interface Selection {
  chosen?: string | null;
  why?: string | null;
  available_bytes?: number | null;
  rejected?: { key: string; need_bytes?: number | null; reason?: string | null }[];
}

export interface EngineInfo {
  name: string;
  installed: boolean;
  /** Why it is not, with the command that adds it. */
  reason?: string | null;
}

export interface AdminService extends ServiceStatus {
  url?: string;
  latency_ms?: number | null;
  version?: string | null;
  error?: string | null;
  models?: ModelInfo[];
  selection?: Selection | null;
  engines?: EngineInfo[];
  /** Each address, when there are several. */
  replicas?: { url: string; state: string; chosen?: string | null; error?: string | null }[];
}

export interface SystemInfo {
  cpu_percent?: number;
  cpu_count?: number;
  memory?: { used: number; total: number };
  disk?: { used: number; total: number };
  gpus?: {
    name: string;
    memory_used?: number;
    memory_total?: number;
    utilization?: number | null;
    temperature?: number | null;
  }[];
}

export interface AdminStatus {
  services: AdminService[];
  system: SystemInfo;
  huggingface_token?: boolean;
  /** Who was told the token: `kept` false, with the reason, where its last value is not known yet. */
  huggingface_token_replicas?: { service: string; url: string; kept: boolean; error?: string }[];
  endpoints?: { method: string; path: string; description: string }[];
}

export interface AdapterInfo {
  name: string;
  parent: string;
  /** "variable": one of IA_ADAPTERS, which the page cannot remove. */
  origin: string;
  source?: string | null;
  state: string;
  rank?: number | null;
  base_model?: string | null;
  bytes_done?: number;
  bytes_total?: number;
  error?: string | null;
  replicas?: ModelReplica[];
}

export interface ChatModel {
  id: string;
  embedded?: boolean;
  family?: string;
  owned_by?: string;
  state?: string;
  /** The model that an adapter belongs to. */
  parent?: string | null;
}

export interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
}

export const TERMINAL: ReadonlySet<MeetingState> = new Set(["done", "failed", "cancelled"]);

export function errorText(error: string | { message?: string } | null | undefined): string {
  if (!error) return "";
  return typeof error === "string" ? error : (error.message ?? "");
}
