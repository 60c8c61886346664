import type { Digest } from '../kernel/digest.ts'
import { type Endpoint, endpoint } from '../kernel/route.ts'
import { getBillOfMaterials, getPublicKey, getSignature } from './provenance-contract.ts'
import type { ProvenanceService } from './provenance-service.ts'

export function provenanceEndpoints(provenance: ProvenanceService): Endpoint[] {
  return [
    endpoint(getBillOfMaterials, async ({ params, query }) => ({
      ...(await provenance.billOfMaterials(params.digest as Digest, query.format)),
    })),
    endpoint(getSignature, async ({ params, query }) => {
      const { keyId, signedAt, bundle } = await provenance.signature(params.digest as Digest, query.kind)
      return { keyId, signedAt, bundle: bundle as { mediaType: string } }
    }),
    endpoint(getPublicKey, async () => ({ publicKey: await provenance.publicKey() })),
  ]
}
