# fish completion for mendipd, which says itself what can follow. SPDX-License-Identifier: ISC
function __mendipd_options
    set -l words (commandline -opc)
    $words[1] --help 2>/dev/null | string replace -rf '^ +(?:-\w, )?(--[a-z-]+)(?: [A-Z]+)? *(.*)' '$1\t$2'
end
complete -c mendipd -a '(__mendipd_options)'
