import { Link } from '@tanstack/react-router'

type Props = { project: string; model: string; version: number }

export const VersionLink = ({ project, model, version }: Props) => (
  <Link
    to="/projects/$project/models/$model/versions/$version"
    params={{ project, model, version: String(version) }}
    className="text-link"
  >
    {model} v{version}
  </Link>
)
