/** The worker thread of a nodejs function. */
import { workerData } from 'node:worker_threads'
import { openThreadChannel, type ThreadChannelTransfer } from '../../shared-memory/thread-channel.ts'
import { Guest } from './guest.ts'

new Guest(openThreadChannel(workerData as ThreadChannelTransfer)).start()
