import { z } from 'zod'
import { route } from '../kernel/route.ts'

const ofVersion = z.object({ digest: z.string().regex(/^sha256:[0-9a-f]{64}$/) })

export const getBillOfMaterials = route({
  id: 'provenance.sbom',
  summary: "A version's bill of materials: the model's files, data, commit, interpreter and every package of its lock",
  method: 'GET',
  path: '/api/v1/versions/:digest/sbom',
  access: 'read',
  params: ofVersion,
  query: z.object({ format: z.enum(['cyclonedx', 'spdx']).default('cyclonedx') }),
  output: z.looseObject({}).describe('CycloneDX 1.6 or SPDX 2.3, as JSON'),
  errors: ['NotFound'],
})

export const getSignature = route({
  id: 'provenance.signature',
  summary:
    "The server's signature on a version's files (OpenSSF model signing), or on how it was made (SLSA provenance)",
  method: 'GET',
  path: '/api/v1/versions/:digest/signature',
  access: 'read',
  params: ofVersion,
  query: z.object({ kind: z.enum(['model', 'making']).default('model') }),
  output: z.object({
    keyId: z.string().describe("SHA-256 of the public key's PEM text"),
    signedAt: z.int(),
    bundle: z
      .looseObject({ mediaType: z.string() })
      .describe('a sigstore bundle (v0.3): what verifiers read as the signature file'),
  }),
  errors: ['NotFound'],
})

export const getPublicKey = route({
  id: 'provenance.publicKey',
  summary: 'The public key (ECDSA P-256, PEM) of what this server signs',
  method: 'GET',
  path: '/api/v1/provenance/public-key',
  access: 'read',
  output: z.object({ publicKey: z.string() }),
})
