import { Check, Copy as CopyIcon } from 'lucide-react'
import { useState } from 'react'
import { shortCommit, shortDigest } from '../format.ts'

function useCopied(text: string): { copied: boolean; copy: () => void } {
  const [copied, setCopied] = useState(false)
  const copy = () => {
    void navigator.clipboard?.writeText(text).then(() => {
      setCopied(true)
      setTimeout(() => setCopied(false), 1_500)
    })
  }
  return { copied, copy }
}

const Told = ({ copied }: { copied: boolean }) => (
  <span role="status" className="visually-hidden">
    {copied ? 'Copied' : ''}
  </span>
)

/** Twelve digits to read, copied whole by a click. */
export function Digest({ digest }: { digest: string }) {
  return <CopyText text={digest} shown={shortDigest(digest)} what="digest" />
}

export function Commit({ commit }: { commit: string }) {
  return <CopyText text={commit} shown={shortCommit(commit)} what="commit" />
}

function CopyText({ text, shown, what }: { text: string; shown: string; what: string }) {
  const { copied, copy } = useCopied(text)
  return (
    <>
      <button type="button" className="copy mono" onClick={copy} title={`${text}\nClick to copy`}>
        <span className="visually-hidden">Copy {what} </span>
        {shown}
        {copied && <Check size={12} aria-hidden />}
      </button>
      <Told copied={copied} />
    </>
  )
}

/** What to type in a terminal for the same. */
export function CommandLine({ command }: { command: string }) {
  const { copied, copy } = useCopied(command)
  return (
    <div className="command">
      <code>{command}</code>
      <button type="button" className="icon-button" onClick={copy} aria-label={`Copy: ${command}`}>
        {copied ? <Check size={14} aria-hidden /> : <CopyIcon size={14} aria-hidden />}
      </button>
      <Told copied={copied} />
    </div>
  )
}
