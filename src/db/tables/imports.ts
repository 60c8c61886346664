export interface ImportTables {
  /** One per source, however often it is carried on. `source` names it without credentials. */
  imports: {
    id: string
    source: string
    /** `copy` or `reference` */
    artifacts: string
    /** `running` or `finished` */
    state: string
    actor: string
    started_at: number
    updated_at: number
  }
  /** What came of what: the place of an import that goes on after a crash, and the map from the source's ids to ours. */
  import_items: {
    import_id: string
    kind: string
    source_id: string
    target_id: string
    /** 1: it was here before, and what came was added to it. */
    joined: number
    /** The folder of its artifacts there and here, where they are copied. */
    source_uri: string | null
    target_uri: string | null
    /** JSON: what the source says of it, told once all of it was taken. Null until then: it is taken again. */
    facts: string | null
  }
}
