#include "ctrl/web/pages.h"

#include <array>

#ifdef SLUICE_PAGE_DIR

// NOLINTBEGIN(cppcoreguidelines-macro-usage,readability-identifier-naming): the assembler reads the files
#define SL_PAGE_FILE(name, file)                                      \
  asm(".section .rodata\n"                                            \
      ".global sl_page_" #name "_begin\n.type sl_page_" #name         \
      "_begin, @object\n"                                             \
      ".global sl_page_" #name "_end\n.type sl_page_" #name           \
      "_end, @object\n"                                               \
      "sl_page_" #name "_begin:\n.incbin \"" SLUICE_PAGE_DIR "/" file \
      "\"\n"                                                          \
      "sl_page_" #name "_end:\n.byte 0\n.previous\n");                \
  extern "C" const char sl_page_##name##_begin[];                     \
  extern "C" const char sl_page_##name##_end[]

#define SL_PAGE_TEXT(name) \
  std::string_view(sl_page_##name##_begin, static_cast<std::size_t>(sl_page_##name##_end - sl_page_##name##_begin))

SL_PAGE_FILE(html, "index.html");
SL_PAGE_FILE(html_gz, "index.html.gz");
SL_PAGE_FILE(script, "app.js");
SL_PAGE_FILE(script_gz, "app.js.gz");
SL_PAGE_FILE(style, "app.css");
SL_PAGE_FILE(style_gz, "app.css.gz");
SL_PAGE_FILE(icon, "icon.svg");
SL_PAGE_FILE(icon_gz, "icon.svg.gz");
// NOLINTEND(cppcoreguidelines-macro-usage,readability-identifier-naming)

namespace sluice::web {

const PageFile* FindPage(std::string_view path) {
  static const std::array kFiles = {
      PageFile{"/", "text/html; charset=utf-8", SL_PAGE_TEXT(html), SL_PAGE_TEXT(html_gz)},
      PageFile{"/app.js", "text/javascript; charset=utf-8", SL_PAGE_TEXT(script), SL_PAGE_TEXT(script_gz)},
      PageFile{"/app.css", "text/css; charset=utf-8", SL_PAGE_TEXT(style), SL_PAGE_TEXT(style_gz)},
      PageFile{"/icon.svg", "image/svg+xml", SL_PAGE_TEXT(icon), SL_PAGE_TEXT(icon_gz)}};
  for (const PageFile& file : kFiles) {
    if (file.path == path) return &file;
  }
  return nullptr;
}

}  // namespace sluice::web

#else

namespace sluice::web {

const PageFile* FindPage(std::string_view) { return nullptr; }

}  // namespace sluice::web

#endif
