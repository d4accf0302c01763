# Completion of sandbox-ops for fish: sandbox-ops completion fish | source
function __sandbox_ops_complete
    set -l before (commandline -opc)
    set -l current (commandline -ct)
    set -l lines (sandbox-ops --complete -- $before[2..-1] "$current" 2>/dev/null)
    if test "$lines[1]" = :files
        __fish_complete_path "$current"
    else
        printf '%s\n' $lines
    end
end
complete -c sandbox-ops -f -a '(__sandbox_ops_complete)'
