/**
 * For small devices: one collector thread, only the quick compiler, the classes of the JDK from its shared archive. The opened packages are
 * what the guest needs to use the doorbell by its descriptor (guests/java: Doorbell). A JVM that is out of memory ends: the worker is replaced.
 */
export const JVM_OPTIONS = [
  '-XX:+UseSerialGC',
  '-XX:TieredStopAtLevel=1',
  '-Xshare:auto',
  '-XX:+ExitOnOutOfMemoryError',
  '-Dfile.encoding=UTF-8',
  '--add-opens=java.base/java.io=ALL-UNNAMED',
  '--add-opens=java.base/sun.nio.ch=ALL-UNNAMED',
] as const
