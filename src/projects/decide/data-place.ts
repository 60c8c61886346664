const folder = '.modelwright/data'

/** Where data of an address lies in a step's workspace, beside the models: the name keeps its ending, by which a table is known. */
export function dataPlace(name: string, address: string): string {
  const last = decoded(new URL(address).pathname.split('/').at(-1)!)
  const file = last.replaceAll(/[^A-Za-z0-9._-]+/g, '_').replace(/^\.+/, '')
  return `${folder}/${name}/${file.slice(-longestName) || 'data'}`
}

/** The dataset that lies at such a place. */
export const datasetAt = (path: string): string | undefined => /^\.modelwright\/data\/([^/]+)\/[^/]+$/.exec(path)?.[1]

const longestName = 100

/** A percent sign that begins nothing is a percent sign. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
