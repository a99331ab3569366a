/** Why there is no answer, through no fault of the image. */
export type FailureKind = "busy" | "unreachable" | "too_large" | "token" | "status" | "exchanged" | "network";

/** Statuses that blame the request, and yet may not come again: a token, too slow, too many. */
const PASSING = new Set([401, 408, 429]);

export class Failure extends Error {
  constructor(
    readonly kind: FailureKind,
    /** In the page's language, where the server says more; else for the sentence of the kind. */
    readonly detail = "",
    /** Of the server's answer; 0 where there is none. */
    readonly status = 0,
    /** That a file may have, where it has more; 0 where nobody says. */
    readonly mostBytes = 0,
  ) {
    super(detail ? `${kind}: ${detail}` : kind);
  }

  /** Whether trying again may help. */
  get mayPass(): boolean {
    if (this.kind === "exchanged") return false;
    return this.status < 400 || this.status >= 500 || PASSING.has(this.status);
  }
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
