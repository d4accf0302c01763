# Completion of sandbox-ops for bash: eval "$(sandbox-ops completion bash)"
_sandbox_ops() {
  local line
  COMPREPLY=()
  while IFS= read -r line; do
    if [[ $line == :files ]]; then
      compopt -o default 2>/dev/null
      return
    fi
    COMPREPLY+=("${line%%$'\t'*}")
  done < <(sandbox-ops --complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _sandbox_ops sandbox-ops
