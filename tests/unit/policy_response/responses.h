// Responses for tests. YAML's flow style keeps a case on a line.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "policy/response/match.h"
#include "policy/response/parser.h"

namespace sluice::policy::response {

inline std::string DocumentOf(const std::string& spec) {
  return "apiVersion: sluice.dev/v1alpha1\nkind: Response\nmetadata: {name: r}\nspec: " + spec + "\n";
}

inline ParsedText ParseSpec(const std::string& spec) {
  return ParseText("r.yaml", DocumentOf(spec), {.more_kinds = KindParsers()});
}

// "FIELD: what is wrong" of the first problem, or "no error".
inline std::string ErrorOf(const std::string& spec) {
  const ParsedText parsed = ParseSpec(spec);
  return parsed.problems.empty() ? "no error" : parsed.problems.front().what;
}

inline std::shared_ptr<const Response> ResponseOf(const std::string& spec) {
  const ParsedText parsed = ParseSpec(spec);
  EXPECT_EQ(ErrorOf(spec), "no error") << spec;
  return parsed.resources.empty() ? nullptr : parsed.resources.front().response;
}

}  // namespace sluice::policy::response
