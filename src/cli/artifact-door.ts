import { Readable } from 'node:stream'
import { AppError, messageOf } from '../kernel/errors.ts'
import type { SourceFile } from './mlflow-sources/source.ts'

const proxy = '/api/2.0/mlflow-artifacts/artifacts'

/** Files into our artifact proxy, as a client of MLflow brings them: streamed, whole or not at all. */
export class ArtifactDoor {
  readonly #server: string
  readonly #headers: Record<string, string>
  /** Sizes of what lies in a folder, by the folder: asked once. */
  readonly #listed = new Map<string, Promise<Map<string, number>>>()

  constructor(server: string, token: string | undefined) {
    this.#server = server
    this.#headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
  }

  /** How many bytes went; none where a file of that size is there already. */
  async bring(folderUri: string, file: SourceFile, options: { evenIfThere: boolean }): Promise<number> {
    const folder = folderUri.replace(/^mlflow-artifacts:\/+/, '')
    const path = `${folder}/${file.path}`
    if (!options.evenIfThere && (await this.#sizeOf(path)) === file.size) return 0
    const content = await file.open()
    const response = await fetch(this.#server + proxy + escaped(path), {
      method: 'PUT',
      headers: { ...this.#headers, 'content-type': 'application/octet-stream' },
      body: Readable.toWeb(content) as unknown as RequestInit['body'],
      duplex: 'half',
    } as RequestInit).catch((cause: unknown) => {
      content.destroy()
      throw new AppError(
        'ServerUnreachable',
        `Bringing ${path} broke off: ${messageOf((cause as Error).cause ?? cause)}.`,
        'What was brought in stays; the same command goes on from there.',
        { cause },
      )
    })
    const answer = await response.text()
    if (response.ok) return file.size
    throw new AppError(
      'BadRequest',
      `The server did not take ${path}: ${answer.slice(0, 300)}`,
      'Mend it at the source; the same command goes on from there.',
    )
  }

  async #sizeOf(path: string): Promise<number | undefined> {
    const slash = path.lastIndexOf('/')
    const folder = path.slice(0, slash)
    const listed = this.#listed.get(folder) ?? this.#list(folder)
    this.#listed.set(folder, listed)
    // Only the folders that are worked on are remembered.
    if (this.#listed.size > 200) this.#listed.delete(this.#listed.keys().next().value!)
    return (await listed).get(path.slice(slash + 1))
  }

  async #list(folder: string): Promise<Map<string, number>> {
    const response = await fetch(`${this.#server}${proxy}?${new URLSearchParams({ path: folder })}`, {
      headers: this.#headers,
    })
    if (!response.ok) return new Map()
    const { files = [] } = (await response.json()) as {
      files?: { path: string; is_dir?: boolean; file_size?: number }[]
    }
    return new Map(files.flatMap(({ path, is_dir, file_size }) => (is_dir ? [] : [[path, Number(file_size ?? 0)]])))
  }
}

const escaped = (path: string): string => `/${path.split('/').map(encodeURIComponent).join('/')}`
