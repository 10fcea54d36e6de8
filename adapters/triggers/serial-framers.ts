import type { SerialFraming } from '../../config/triggers/serial.ts'
import { DelimiterFramer } from './serial-delimiter-framer.ts'
import type { Framer, OnFrame } from './serial-framer.ts'
import { IdleFramer, LengthFramer, PrefixFramer } from './serial-length-framers.ts'
import { RegexFramer } from './serial-regex-framer.ts'

/** `maxBytes`: of a frame. */
export function makeFramer(framing: SerialFraming, maxBytes: number, onFrame: OnFrame): Framer {
  switch (framing.kind) {
    case 'delimiter':
      return new DelimiterFramer(Buffer.from(framing.delimiter), framing.includeDelimiter, maxBytes, onFrame)
    case 'length':
      return new LengthFramer(framing.bytes, onFrame)
    case 'lengthPrefix':
      return new PrefixFramer(framing.bytes, framing.order, maxBytes, onFrame)
    case 'regex':
      return new RegexFramer(new RegExp(framing.source, 'g'), maxBytes, onFrame)
    case 'idle':
      return new IdleFramer(maxBytes, onFrame)
  }
}
