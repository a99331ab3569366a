/** Why there is no answer, through no fault of the image. */
export type FailureKind = "busy" | "unreachable" | "too_large" | "token" | "status" | "exchanged" | "network";

export class Failure extends Error {
  constructor(
    readonly kind: FailureKind,
    /** In the page's language, where the server says more; else for the sentence of the kind. */
    readonly detail = "",
  ) {
    super(detail ? `${kind}: ${detail}` : kind);
  }
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
