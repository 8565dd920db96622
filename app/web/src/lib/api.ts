import { currentLang, translate } from "../i18n";

interface ErrorBody {
  error?: { message?: string; code?: string | null; type?: string; param?: string | null } & Record<string, unknown>;
  model?: unknown;
}

/** What a route refused, in OpenAI's shape; `status` 0 means that the server could not be reached. */
export class RequestError extends Error {
  readonly status: number;
  readonly code: string;
  readonly retryAfter: number | null;
  readonly details: Record<string, unknown>;

  constructor(status: number, code: string, message: string, retryAfter: number | null = null, details = {}) {
    super(message);
    this.name = "RequestError";
    this.status = status;
    this.code = code;
    this.retryAfter = retryAfter;
    this.details = details;
  }
}

/** Build the error of an answer from its body; anything that is not OpenAI's shape gets a plain sentence. */
export function errorFrom(status: number, text: string, retryAfter: string | null): RequestError {
  let body: ErrorBody = {};
  try {
    body = JSON.parse(text) as ErrorBody;
  } catch {
    // A proxy's HTML page, or nothing at all.
  }
  const error = body.error;
  const fallback = status === 413 ? translate("error.tooLarge") : translate("error.status", { status });
  const seconds = retryAfter === null ? NaN : Number(retryAfter);
  return new RequestError(
    status,
    typeof error?.code === "string" ? error.code : `http_${status}`,
    error?.message || fallback,
    Number.isFinite(seconds) ? seconds : null,
    { ...error, ...(body.model ? { model: body.model } : {}) },
  );
}

export const unreachable = (): RequestError => new RequestError(0, "unreachable", translate("error.unreachable"));

export interface Options {
  method?: string;
  json?: unknown;
  form?: FormData;
  headers?: Record<string, string>;
  signal?: AbortSignal | undefined;
}

export async function send(path: string, options: Options = {}): Promise<Response> {
  const headers: Record<string, string> = { "Accept-Language": currentLang(), ...options.headers };
  const init: RequestInit = { method: options.method ?? "GET", headers };
  if (options.signal) init.signal = options.signal;
  if (options.json !== undefined) {
    headers["Content-Type"] = "application/json";
    init.body = JSON.stringify(options.json);
  } else if (options.form) {
    init.body = options.form;
  }
  let response: Response;
  try {
    response = await fetch(path, init);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw unreachable();
  }
  if (!response.ok) {
    throw errorFrom(response.status, await response.text().catch(() => ""), response.headers.get("Retry-After"));
  }
  return response;
}

export async function request<T>(path: string, options: Options = {}): Promise<T> {
  const response = await send(path, options);
  if (response.status === 204) return undefined as T;
  const text = await response.text();
  if (!text) return undefined as T;
  try {
    return JSON.parse(text) as T;
  } catch {
    throw new RequestError(response.status, "bad_answer", translate("error.badAnswer"));
  }
}

export interface UploadFields {
  title?: string;
  language?: string;
  num_speakers?: string;
  min_speakers?: string;
  max_speakers?: string;
}

/** POST /api/meetings with progress (fetch has none for what is sent). */
export function uploadMeeting(
  file: File,
  fields: UploadFields,
  onProgress: (ratio: number) => void,
  signal: AbortSignal,
): Promise<{ id: string }> {
  return new Promise((resolve, reject) => {
    const form = new FormData();
    for (const [key, value] of Object.entries(fields)) if (value) form.append(key, value as string);
    form.append("file", file, file.name);
    const xhr = new XMLHttpRequest();
    xhr.open("POST", "/api/meetings");
    xhr.setRequestHeader("Accept-Language", currentLang());
    xhr.upload.onprogress = (event) => {
      if (event.lengthComputable && event.total > 0) onProgress(event.loaded / event.total);
    };
    xhr.onload = () => {
      if (xhr.status >= 200 && xhr.status < 300) {
        try {
          resolve(JSON.parse(xhr.responseText) as { id: string });
        } catch {
          reject(new RequestError(xhr.status, "bad_answer", translate("error.badAnswer")));
        }
      } else {
        reject(errorFrom(xhr.status, xhr.responseText, xhr.getResponseHeader("Retry-After")));
      }
    };
    xhr.onerror = () => reject(unreachable());
    xhr.onabort = () => reject(new DOMException("aborted", "AbortError"));
    signal.addEventListener("abort", () => xhr.abort(), { once: true });
    xhr.send(form);
  });
}

export const isAbort = (error: unknown): boolean => error instanceof DOMException && error.name === "AbortError";

export const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : translate("error.unexpected");
