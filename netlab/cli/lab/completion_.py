"""Examples:

    source <(netlab completion bash)                        in ~/.bashrc
    source <(netlab completion zsh)                         in ~/.zshrc, behind compinit
    netlab completion bash | sudo tee /etc/bash_completion.d/netlab

Completes verbs, options, kinds, and the names of objects, nodes, namespaces and labs.
"""

from __future__ import annotations

import argparse

# Both ask `netlab __complete WORD…` (see complete_.py), which answers with a line for each
# candidate, a description behind a tab, or with ":files" alone.

BASH = r"""# bash completion for netlab
_netlab() {
    local line=${COMP_LINE:0:COMP_POINT} IFS=$' \t\n'
    local -a words found
    read -ra words <<< "$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    mapfile -t found < <("${words[0]/#\~/$HOME}" __complete "${words[@]:1}" 2> /dev/null)
    COMPREPLY=()
    if [[ ${found[0]-} == :files ]]; then
        compopt -o default
        return
    fi
    # Of `--node=w` and `a:b`, bash replaces only what stands behind the last = or :
    local current=${words[-1]}
    local kept=${current%"${current##*[=:]}"} candidate
    for candidate in "${found[@]}"; do
        candidate=${candidate%%$'\t'*}
        COMPREPLY+=("${candidate#"$kept"}")
    done
    [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *[/=] ]] && compopt -o nospace
}
complete -F _netlab netlab
"""

ZSH = r"""#compdef netlab
# zsh completion for netlab
_netlab() {
    local -a lines closed open
    local line entry
    lines=("${(@f)$(${(Q)words[1]} __complete "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2> /dev/null)}")
    if [[ $lines[1] == :files ]]; then
        _files
        return
    fi
    for line in $lines; do
        entry=${${line%%$'\t'*}//:/\\:}
        [[ $line == *$'\t'* ]] && entry+=:${line#*$'\t'}
        if [[ ${line%%$'\t'*} == *[/=] ]]; then open+=($entry); else closed+=($entry); fi
    done
    local -i none=1
    (( $#closed )) && _describe netlab closed && none=0
    (( $#open )) && _describe netlab open -S '' && none=0
    return none
}
if [[ $funcstack[1] == _netlab ]]; then _netlab "$@"; else compdef _netlab netlab; fi
"""  # noqa: E501

SCRIPTS = {"bash": BASH, "zsh": ZSH}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """For which shell."""
    parser.add_argument("shell", choices=sorted(SCRIPTS), help="bash or zsh")


def run(arguments: argparse.Namespace) -> int:
    """Print the script."""
    print(SCRIPTS[arguments.shell], end="")
    return 0
