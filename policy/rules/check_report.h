// What `sluice rules check` says, in the shape of Falco's --validate. Pure.
#pragma once

#include <string>
#include <vector>

#include "policy/rules/load_result.h"

namespace sluice::policy::rules {

struct CheckedFile {
  LoadResult result;
  std::string text;  // of the file
};

// "FILE: Ok", "FILE: Ok, with warnings", or "FILE: Invalid" and then its error: where it is, the line, the code and
// what is wrong. Ends with a line end.
std::string ReportText(const CheckedFile& file);
// The warnings of a file in the same form; empty: there are none.
std::string WarningsText(const CheckedFile& file);
// One object: {"falco_load_results": [{name, successful, errors, warnings}]}. Lines and columns count from 1, offsets
// are bytes from the file's beginning.
std::string ReportJson(const std::vector<CheckedFile>& files);

}  // namespace sluice::policy::rules
