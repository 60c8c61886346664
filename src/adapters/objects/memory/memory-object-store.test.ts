import { objectStoreConformance } from '../../../ports/conformance/object-store.ts'
import { MemoryObjectStore } from './memory-object-store.ts'

objectStoreConformance('objects/memory', async () => ({
  store: new MemoryObjectStore(),
  cleanup: async () => undefined,
}))
