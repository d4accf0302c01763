#compdef sandbox-ops
# Completion of sandbox-ops for zsh: eval "$(sandbox-ops completion zsh)", after compinit
_sandbox_ops() {
  local line
  local -a candidates
  while IFS= read -r line; do
    if [[ $line == :files ]]; then
      _files
      return
    fi
    if [[ $line == *$'\t'* ]]; then
      candidates+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
    else
      candidates+=("${line//:/\\:}")
    fi
  done < <(sandbox-ops --complete -- "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)
  _describe sandbox-ops candidates
}
if [[ ${funcstack[1]} == _sandbox-ops ]]; then
  _sandbox_ops "$@" # autoloaded, from a file of that name
else
  compdef _sandbox_ops sandbox-ops
fi
