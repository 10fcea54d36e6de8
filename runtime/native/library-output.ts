import { assert, FunctionError } from '../base/errors.ts'
import { findItem, HeadWriter } from '../event/head.ts'
import { AT, Flag, Kind, RECORD_HEADER_BYTES, Tag, recordSize } from '../event/record.ts'
import type { RecordView } from '../shared-memory/channel.ts'
import { bodyOf, codeOf, E_GONE, E_REFUSED, headOf, OK, type AgentLink } from './agent-link.ts'
import type { ContextMemory } from './context-memory.ts'
import { ForeignMemory, ownMemory, SpareMemory } from './memory.ts'
import { StateView } from './state-view.ts'
import { StreamCredits } from './stream-credits.ts'

const ERROR_CHARACTERS_MAX = 4096
const STATE_BYTES = 0
const STATE_JSON = 1
const LEVEL_ERROR = 40
const BROKEN = 'The library has written what is no record into its buffer: its memory is damaged, or it was built with another dunlin.h'

export interface OutputOptions {
  readonly stateExclusive: boolean
  readonly explicitAck: boolean
  /** Told before memory is taken for a body. */
  readonly allowBody: (bytes: number) => void
}

/**
 * What a library sends: records in its buffer, each checked against the events that it has. What is for another event, or comes after its
 * answer, is dropped with a line in the log; what is no record at all throws, and ends the process.
 */
export class LibraryOutput {
  readonly #link: AgentLink
  readonly #context: ContextMemory
  readonly #isExplicitAck: boolean
  readonly #state: StateView
  readonly #head = new HeadWriter()
  readonly #answers = new SpareMemory()
  readonly #bodies: ForeignMemory
  readonly #credits = new StreamCredits()
  /** Tickets of the events that the library has, and has not answered. */
  readonly #open = new Set<number>()
  #newest = 0
  #current = 0
  #question = 0
  #answer: Buffer | null = null
  /** A RESULT for no event: why dunlin_init_context has failed. */
  initFailure: Buffer | null = null

  constructor(link: AgentLink, context: ContextMemory, { stateExclusive, explicitAck, allowBody }: OutputOptions) {
    this.#bodies = new ForeignMemory(allowBody)
    this.#link = link
    this.#context = context
    this.#isExplicitAck = explicitAck
    this.#state = new StateView(stateExclusive)
  }

  /** `isForgetting`: an earlier outcome of the event may not have been committed. */
  begin(ticket: number, isForgetting: boolean): void {
    if (this.#open.size === 0) this.#current = ticket
    this.#open.add(ticket)
    this.#newest = Math.max(this.#newest, ticket)
    if (isForgetting) this.#state.forget()
  }

  /** The library has returned: an event that it has not answered is answered with `failure`, or as handled. */
  end(ticket: number, failure: string | null, flags = 0): void {
    if (!this.#open.has(ticket)) return
    this.#close(ticket, failure === null)
    if (failure === null) this.#link.send(Kind.result, ticket, 200, 0, null, null)
    else this.#link.send(Kind.result, ticket, 500, flags, errorHead(this.#head.reset(), failure), null)
  }

  /** STATE_VALUE or CALL_RESULT. */
  onAnswer(view: RecordView): void {
    if (view.ticket !== this.#question) return
    this.#answer = this.#answers.take(view.size)
    view.copyTo(this.#answer, 0)
  }

  onCredit(view: RecordView): void {
    this.#credits.add(view.ticket, view.bodyLength === 4 ? view.body.readUInt32LE(0) : 0)
  }

  /**
   * Takes the records that the library has written. `body`, `bodyLength`: address of the last one's body, where it is not among them.
   * With `asks` the last one is a question, and its answer is there when this returns.
   */
  collect(body = 0, bodyLength = 0, asks = false): number {
    const length = this.#context.takeOut()
    const { out } = this.#context
    if (length > out.length) throw new FunctionError('library-record', BROKEN)
    let code = OK
    for (let at = 0; at < length;) {
      const size = length - at < RECORD_HEADER_BYTES ? 0 : out.readUInt32LE(at)
      const isLast = at + size === length
      const isOutside = isLast && bodyLength > 0
      if (size < RECORD_HEADER_BYTES || at + size > length) throw new FunctionError('library-record', BROKEN)
      const used = RECORD_HEADER_BYTES + out.readUInt32LE(at + AT.headLength) + (isOutside ? 0 : out.readUInt32LE(at + AT.bodyLength))
      if (used > size) throw new FunctionError('library-record', BROKEN)
      const record = out.subarray(at, at + size)
      const given = isOutside ? this.#bodies.copy(body, bodyLength) : null
      code = isLast && asks ? this.#ask(record, given) : this.#take(record, given)
      at += size
    }
    return code
  }

  #take(record: Buffer, body: Buffer | null): number {
    const kind = record[AT.kind]!
    const ticket = ticketOf(record)
    switch (kind) {
      case Kind.result:
        return this.#takeResult(record, body, ticket)
      case Kind.log:
        return this.#link.forward(record, body, this.#current)
      case Kind.ack:
        return this.#isExplicitAck && ticket > 0 && ticket <= this.#newest
          ? this.#link.forward(record, body, ticket)
          : this.#refuse(kind, ticket)
    }
    if (!OPERATIONS.has(kind)) throw new FunctionError('library-record', BROKEN)
    if (!this.#open.has(ticket)) return this.#refuse(kind, ticket)
    if (kind === Kind.chunk) return this.#takeChunk(record, ticket)
    return kind === Kind.stateSet || kind === Kind.stateDelete
      ? this.#changeState(record, body, ticket)
      : this.#link.forward(record, body, ticket)
  }

  #takeResult(record: Buffer, body: Buffer | null, ticket: number): number {
    if (ticket === 0 && this.#newest === 0) {
      this.initFailure = Buffer.from(headOf(record))
      return OK
    }
    if (!this.#open.has(ticket)) return this.#refuse(Kind.result, ticket)
    if (!this.#isExplicitAck) record[AT.flags]! &= ~Flag.noAck
    const code = this.#link.forward(record, body, ticket)
    // One that was too large to be sent is no answer.
    if (code === OK) this.#close(ticket, record.readUInt16LE(AT.status) < 500 && (record[AT.flags]! & Flag.noAck) === 0)
    return code
  }

  #close(ticket: number, isCommitted: boolean): void {
    this.#open.delete(ticket)
    this.#credits.end(ticket)
    this.#state.end(ticket, isCommitted)
    if (this.#open.size === 0) this.#current = 0
  }

  /** A part of a streamed answer waits until its reader has room for it. */
  #takeChunk(record: Buffer, ticket: number): number {
    const bytes = record.readUInt32LE(AT.bodyLength)
    this.#wait(() => (this.#credits.left(ticket) ?? bytes) >= bytes)
    if (this.#credits.left(ticket) === null) return E_GONE
    this.#credits.spend(ticket, bytes)
    const code = this.#link.forward(record, null, ticket)
    this.#link.ring()
    return code
  }

  /** The library gives the form of a value as the record's status; stored is one byte of form and the content. */
  #changeState(record: Buffer, body: Buffer | null, ticket: number): number {
    const head = headOf(record)
    const key = findItem(head, Tag.key) ?? ''
    if (record[AT.kind] === Kind.stateDelete) {
      this.#state.change(ticket, key, null)
      return this.#link.forward(record, null, ticket)
    }
    const form = record.readUInt16LE(AT.status) === STATE_JSON ? STATE_JSON : STATE_BYTES
    const value = Buffer.concat([Buffer.of(form), body ?? bodyOf(record)])
    const code = codeOf(() => this.#link.send(Kind.stateSet, ticket, 0, 0, head, value))
    if (code === OK) this.#state.change(ticket, key, value)
    return code
  }

  #ask(record: Buffer, body: Buffer | null): number {
    const kind = record[AT.kind]
    if (kind !== Kind.stateGet && kind !== Kind.call) throw new FunctionError('library-record', BROKEN)
    const key = kind === Kind.stateGet ? (findItem(headOf(record), Tag.key) ?? '') : null
    const known = key === null ? undefined : this.#state.get(ticketOf(record), key)
    if (known !== undefined) {
      this.#context.answer = this.#answer = stateRecord(known)
      return OK
    }
    this.#question++
    this.#answer = null
    const code = this.#link.forward(record, body, this.#question)
    if (code !== OK) return code
    this.#wait(() => this.#answer !== null)
    const answer = this.#takenAnswer()
    this.#context.answer = answer
    // The memory of the answer is used again.
    if (key !== null) this.#state.learn(key, (answer[AT.flags]! & Flag.absent) !== 0 ? null : Buffer.from(bodyOf(answer)))
    return OK
  }

  #takenAnswer(): Buffer {
    assert(this.#answer !== null, 'the answer has come')
    return this.#answer
  }

  /** What comes meanwhile is read, and no event is begun. */
  #wait(isTrue: () => boolean): void {
    this.#link.ring()
    this.#link.readUntil(isTrue)
  }

  #refuse(kind: number, ticket: number): number {
    const what = kind === Kind.result ? 'answers' : 'sends something for'
    const text = Buffer.from(`The library ${what} an event (${ticket}) that it does not have or has answered: it is dropped`)
    this.#link.send(Kind.log, this.#current, LEVEL_ERROR, 0, null, text)
    return E_REFUSED
  }
}

const OPERATIONS: ReadonlySet<number> = new Set([Kind.emit, Kind.publish, Kind.stateSet, Kind.stateDelete, Kind.chunk])

export function errorHead(head: HeadWriter, text: string): Uint8Array {
  return head.add(Tag.error, text.slice(0, ERROR_CHARACTERS_MAX)).bytes()
}

function ticketOf(record: Buffer): number {
  return record.readUInt32LE(AT.ticket) + record.readUInt32LE(AT.ticket + 4) * 0x1_0000_0000
}

/** A STATE_VALUE as the agent would have sent it. */
function stateRecord(value: Buffer | null): Buffer {
  const record = ownMemory(recordSize(0, value?.length ?? 0))
  record.writeUInt32LE(record.length, AT.size)
  record[AT.kind] = Kind.stateValue
  record[AT.flags] = value === null ? Flag.absent : 0
  record.writeUInt32LE(value?.length ?? 0, AT.bodyLength)
  if (value !== null) record.set(value, RECORD_HEADER_BYTES)
  return record
}
