/** What MLflow sends as plain text, so that its page can show it (utils/mime_type_utils.py). */
const texts =
  'txt log err cfg conf cnf cf ini properties prop hocon toml yaml yml xml json js py py3 csv tsv md rst ipynb MLmodel mlproject MLproject'

/** As Python's mimetypes has them, for what people log. */
const types: Record<string, string> = {
  'text/html': 'html htm',
  'text/css': 'css',
  'text/plain': `${texts} bat c h ksh pl srt`,
  'text/vtt': 'vtt',
  'text/x-python': 'pyw',
  'image/png': 'png',
  'image/jpeg': 'jpg jpeg jpe',
  'image/gif': 'gif',
  'image/svg+xml': 'svg svgz',
  'image/bmp': 'bmp',
  'image/tiff': 'tif tiff',
  'image/webp': 'webp',
  'image/avif': 'avif',
  'image/heic': 'heic',
  'image/vnd.microsoft.icon': 'ico',
  'application/pdf': 'pdf',
  'application/zip': 'zip',
  'application/x-tar': 'tar tgz',
  'application/javascript': 'mjs',
  'application/wasm': 'wasm',
  'application/x-hdf5': 'h5',
  'application/x-hdf': 'hdf',
  'application/x-netcdf': 'nc cdf',
  'application/postscript': 'ps eps ai',
  'application/x-sh': 'sh',
  'application/x-tex': 'tex',
  'application/msword': 'doc',
  'application/vnd.ms-excel': 'xls',
  'application/vnd.ms-powerpoint': 'ppt',
  'audio/mpeg': 'mp3 mp2',
  'audio/x-wav': 'wav',
  'audio/opus': 'opus',
  'audio/aac': 'aac',
  'video/mp4': 'mp4',
  'video/mpeg': 'mpeg mpg',
  'video/webm': 'webm',
  'video/quicktime': 'mov qt',
  'video/x-msvideo': 'avi',
}

const byExtension = new Map(
  Object.entries(types).flatMap(([type, extensions]) => extensions.split(' ').map((extension) => [extension, type])),
)
const compressed = /\.(gz|bz2|xz|br|Z)$/

/** By the file's name alone; what nobody knows are bytes. */
export function contentTypeOf(name: string): string {
  const plain = name.replace(compressed, '')
  const extension = plain.slice(plain.lastIndexOf('.') + 1)
  return byExtension.get(extension) ?? byExtension.get(extension.toLowerCase()) ?? 'application/octet-stream'
}
