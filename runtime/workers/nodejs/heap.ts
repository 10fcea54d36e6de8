/** JavaScript heap of one worker. Buffers are not in it: a worker thread contains mistakes, it is no security boundary. */
export const HEAP_MB_MAX = 128

export const HEAP_TOO_LARGE = `its JavaScript heap is larger than ${HEAP_MB_MAX} MiB`
