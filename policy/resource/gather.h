// Several texts -> their resources, each id once. Pure.
//   const GatheredTexts gathered = Gather({{"web.yaml", web}, {"db.yaml", db}}, options);
//   SL_RETURN_IF_ERROR(gathered.FirstError());
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "policy/resource/parser.h"

namespace sluice::policy {

struct SourceText {
  std::string_view origin;  // as in ParseText
  std::string_view text;
};

struct GatheredTexts {
  struct Wrong {
    std::string origin;
    Problem problem;
  };
  std::vector<Resource> resources;   // what is right, in the order of the texts
  std::vector<std::string> origins;  // of each of them
  std::vector<Wrong> problems;       // in the order of the texts; an id that an earlier text has is one
  // Warnings, what was left out, and what is in "default" for want of a namespace.
  std::vector<std::string> notices;

  // All problems of the first text that has any, as ToStatus.
  Status FirstError() const;
};

// An empty `default_namespace` means "default", and notices say so.
GatheredTexts Gather(const std::vector<SourceText>& texts, ParseOptions options);

}  // namespace sluice::policy
