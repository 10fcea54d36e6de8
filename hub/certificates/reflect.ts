/**
 * @peculiar/x509 uses tsyringe, which refuses to load unless `Reflect.getMetadata` exists. It asks for constructor parameters only,
 * and without compiler-emitted metadata there are none: an empty answer is the right one. Import this before @peculiar/x509.
 */
const empty = { getMetadata: () => undefined, getOwnMetadata: () => undefined, defineMetadata: () => undefined }
for (const [name, value] of Object.entries(empty)) {
  if (!(name in Reflect)) Object.defineProperty(Reflect, name, { value, configurable: true, writable: true })
}
