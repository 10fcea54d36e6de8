export default {
  extensions: ['ts'],
  files: ['test/**/*.test.ts'],
  nodeArguments: ['--disable-warning=ExperimentalWarning'],
  timeout: '120s',
  concurrency: 2,
  // Children, not threads: tests start threads, map memory and pass file descriptors as the agent does.
  workerThreads: false,
  verbose: true,
}
