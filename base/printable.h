// Makes text from outside (program names, arguments, paths, messages) safe for a terminal or a log. Pure.
//
// Such a text must not move the cursor, forge a line, or make two texts look alike. So control characters (C0, DEL,
// C1), line separators, and characters that are invisible or change the text's direction become escapes (\x1b, \u202e);
// a byte that is not part of a character becomes \xNN.
#pragma once

#include <string>
#include <string_view>

namespace sluice {

// The length of the character at the start of `text` (RFC 3629: no overlong forms, no surrogates); 0: there is none.
std::size_t Utf8Length(std::string_view text);

// Whether a terminal may obey or hide it. `character`: a code point.
bool IsHidden(char32_t character);

// For a message or a name on its own: only what must be escaped changes. Line ends are escaped.
std::string Printable(std::string_view text);
// The same, with line ends where `text` has them: a message of several lines.
std::string PrintableLines(std::string_view text);
// For one word among others: in double quotes if it has spaces, quotes, backslashes or escapes, or is empty. Different
// words never give the same text.
std::string PrintableWord(std::string_view word);

// For JSON text, which escapes C0 itself: all other hidden characters become \uNNNN. The meaning stays the same.
std::string PrintableJson(std::string_view json);

}  // namespace sluice
