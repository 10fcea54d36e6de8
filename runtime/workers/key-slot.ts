/** Which of `slots` workers an order key belongs to: the same one as long as the number of workers is the same (FNV-1a). */
export function slotOfKey(key: string, slots: number): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193)
  return (hash >>> 0) % slots
}
