// The cases of a suite: a file in the form of event-generator's `suite test`, in which tests are templates that their
// lists of values expand. What a case does and expects stays a tree; case_plan.h reads it.
//
//   SL_ASSIGN_OR_RETURN(const std::vector<SuiteCase> cases, ReadSuite("find.yaml", text));
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/status.h"

namespace sluice::test {

// Every scalar is a text, or null.
using SuiteJson = nlohmann::ordered_json;

struct SuiteCase {
  std::string file;
  std::string test;       // the name of its template
  std::string name;       // unique in the file: "find#2", or only the test's name if that is no template
  std::string values;     // of the template: "user=root target=/tmp/x"
  SuiteJson description;  // the test with its values, without `cases`
};

// InvalidArgument: names the file and the place, or the test and the key. A plain scalar may begin with "%{", which
// YAML itself forbids and these files use.
StatusOr<std::vector<SuiteCase>> ReadSuite(const std::string& file, const std::string& text);

}  // namespace sluice::test
