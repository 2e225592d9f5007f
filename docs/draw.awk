#
# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0
#
# usage: awk -f docs/draw.awk docs/wsgi.msc > docs/wsgi.svg
#
# Draws a message sequence chart.  It reads what is needed of mscgen's
# language, one arc in a line, and draws the first line of a label above its
# arrow and the second below, where neither is crossed by anything.

BEGIN {
    top = 24; step = 300; left = 120; y = top + 96
    ink = "#1f2933"; grey = "#616e7c"; rule = "#cbd2d9"
}

/^ *#/ || !/\[label="|---/ { next }

{
    label = attribute("label")
    colour = attribute("textbgcolor")
}

$1 == "---"               { part(); next }
$2 == "<->"               { between($1, $3); next }
$2 == "box"               { box($1); next }
$2 ~ /^(->|=>|>>)$/       { arrow($1, $2, $3); next }
                          { lane($1) }

END {
    for (i = 1; i <= lanes; i++) {
        bar(i)
    }
    legend()
    write()
}


function attribute(name,    s) {
    if (!match($0, "[[ ]" name "=\"[^\"]*\"")) {
        return ""
    }
    s = substr($0, RSTART + length(name) + 3, RLENGTH - length(name) - 4)
    gsub(/&/, "\\&amp;", s)
    gsub(/</, "\\&lt;", s)
    return s
}

# One line of text; "look" is the attributes.
function text(px, py, look, s) {
    if (s != "") {
        over = over sprintf("<text x=\"%d\" y=\"%d\" %s>%s</text>\n",
                            px, py, look, s)
    }
}

function rect(px, py, w, h, look) {
    return sprintf("<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" %s/>\n",
                   px, py, w, h, look)
}

function line(x1, y1, x2, y2, look) {
    return sprintf("<path d=\"M%d %dL%d %d\" %s/>\n", x1, y1, x2, y2, look)
}

function lane(name,    s) {
    x[name] = left + step * lanes++
    number[name] = lanes
    split(label, s, "\\\\n")
    over = over rect(x[name] - 90, top, 180, 48,
                     "rx=\"8\" fill=\"" colour "\"")
    text(x[name], top + (s[2] ? 21 : 29), "class=\"name\"", s[1])
    text(x[name], top + 38, "class=\"code\" fill=\"" grey "\"", s[2])
    tint[lanes] = colour
    centre[lanes] = x[name]
}

# The interface between two lanes, named on one line for all.
function between(a, b) {
    text((x[a] + x[b]) / 2, top + 29, "fill=\"" grey "\"", label)
}

function part(    w) {
    y += 14
    w = length(label) * 5.5 + 28
    under = under line(20, y, 20 + step * lanes - 100, y, \
                       "stroke=\"" rule "\" stroke-dasharray=\"2 4\"")
    over = over rect(20, y - 12, w, 24, "rx=\"12\" fill=\"#f5f7fa\"" \
                     " stroke=\"" rule "\"")
    text(32, y + 4, "class=\"start\" fill=\"" grey "\"", label)
    y += 52
}

function box(a,    s, n, i) {
    n = split(label, s, "\\\\n")
    over = over rect(x[a] - 134, y - 18, 268, n * 17 + 13, \
                     "rx=\"5\" fill=\"#fff\" stroke=\"" ink "\"")
    for (i = 1; i <= n; i++) {
        text(x[a], y - 15 + 17 * i, "", s[i])
    }
    y += n * 17 + 40
}

function arrow(a, kind, b,    s, m, look, d) {
    split(label, s, "\\\\n")
    m = (x[a] + x[b]) / 2
    d = (x[a] < x[b]) ? 1 : -1

    if (kind == "=>" && number[b] == lanes) {
        began[number[b]] = y
    }

    look = "stroke=\"" ink "\" stroke-width=\"1.4\""
    look = look ((kind == "->") ? " marker-end=\"url(#message)\"" \
                                : " marker-end=\"url(#call)\"")
    look = look ((kind == ">>") ? " stroke-dasharray=\"5 4\"" : "")
    over = over line(x[a] + 5 * d, y, x[b] - 6 * d, y, look)

    text(m, y - 7, (kind == ">>") ? "" : "class=\"code\"", s[1])
    text(m, y + 17, "fill=\"" grey "\"", s[2])

    if (kind == ">>" && number[a] in began) {
        under = under rect(x[a] - 5, began[number[a]], 10, \
                           y - began[number[a]], \
                           "fill=\"" tint[number[a]] "\" stroke=\"" ink "\"")
        delete began[number[a]]
    }

    y += s[2] ? 56 : 42
}

function bar(i) {
    life = life line(centre[i], top + 48, centre[i], y - 16, \
                     "stroke=\"" tint[i] "\" stroke-width=\"4\"")
}

function legend(    n) {
    y += 22
    n = split("=> a call: the caller waits,>> what it returns," \
              "-> a message: nobody waits", kinds, ",")
    for (i = 1; i <= n; i++) {
        x["from"] = 60 + (i - 1) * 290
        x["to"] = x["from"] + 60
        label = ""
        arrow("from", substr(kinds[i], 1, 2), "to")
        y -= 42
        text(x["to"] + 10, y + 4, "class=\"start\" fill=\"" grey "\"", \
             substr(kinds[i], 4))
    }
}

function write(    w, h) {
    w = 2 * left + step * (lanes - 1)
    h = y + 24
    printf "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\"" \
           " height=\"%d\" viewBox=\"0 0 %d %d\">\n", w, h, w, h
    print "<style>text{font:13px Helvetica,Arial,sans-serif;" \
          "text-anchor:middle}.start{text-anchor:start;font-size:12px}" \
          ".name{font-weight:bold}.code{font-family:Menlo,Consolas," \
          "'DejaVu Sans Mono',monospace;font-size:12px}</style>"
    print "<defs><marker id=\"call\" viewBox=\"0 0 10 10\" refX=\"9\"" \
          " refY=\"5\" markerWidth=\"8\" markerHeight=\"8\" orient=\"auto\">" \
          "<path d=\"M0 1L10 5L0 9z\" fill=\"" ink "\"/></marker>"
    print "<marker id=\"message\" viewBox=\"0 0 10 10\" refX=\"9\"" \
          " refY=\"5\" markerWidth=\"9\" markerHeight=\"9\" orient=\"auto\">" \
          "<path d=\"M1 1L9 5L1 9\" fill=\"none\" stroke=\"" ink "\"" \
          " stroke-width=\"1.3\"/></marker></defs>"
    printf "%s", rect(0, 0, w, h, "fill=\"#fff\"") life under over
    print "</svg>"
}
