/** The server's signing key, and what it has signed. */
export interface ProvenanceTables {
  /** The first one signs. */
  signing_keys: {
    /** SHA-256 of the public key's PEM text: the hint in the bundles. */
    id: string
    public_key: string
    /** PKCS #8 PEM, sealed. */
    private_key: string
    created_at: number
  }
  /** A statement is signed once: who asks again gets the same bytes. */
  signatures: {
    digest: string
    kind: string
    key_id: string
    /** JSON: sigstore bundle */
    bundle: string
    signed_at: number
  }
}
