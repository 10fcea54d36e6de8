/**
 * The body of an answer that comes in parts. The reader says when it has got rid of a part, and only so much is on its way at a
 * time; so a slow reader costs a bounded buffer, and the handler waits for it.
 *
 * unread (parts wait) -> reading -> ended | broken | cancelled
 */
export interface BodyStream {
  /** Starts reading; once. Parts that are there already come at once. */
  read(reader: BodyReader): void
  /** The reader has got rid of so many bytes: as many more may come. */
  taken(bytes: number): void
  /** The reader is gone. The handler's generator is closed; `end` does not come any more. */
  cancel(): void
}

export interface BodyReader {
  /** A part; the reader owns it. */
  part(bytes: Buffer): void
  /** The last call. null: that was all, and what the handler asked for is committed. An error: it broke off, and must not look complete. */
  end(error: Error | null): void
}
