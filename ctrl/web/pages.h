// The files of the page, which are part of the program: they are of its version, need no path, and work offline.
// web/CMakeLists.txt builds them. A build without esbuild has none.
#pragma once

#include <string_view>

namespace sluice::web {

struct PageFile {
  std::string_view path;  // "/app.js"; that of index.html is "/"
  std::string_view content_type;
  std::string_view plain;
  std::string_view gzipped;
};

// Null: there is no such file.
const PageFile* FindPage(std::string_view path);

}  // namespace sluice::web
