// A document of kind Response (sluice.dev/v1alpha1) -> the model, or errors that name file, line, field and value. What
// the fields mean is in docs/responses.md. Strict: unknown fields, and fields that would have no effect, are errors.
// Pure.
//   policy::ParseText(origin, text, {.more_kinds = response::KindParsers()});
#pragma once

#include <memory>
#include <vector>

#include "policy/resource/parser.h"
#include "policy/response/model.h"

namespace sluice::policy::response {

// `root` is the whole document. Error: InvalidArgument, the first problem; the document has all of them.
StatusOr<std::shared_ptr<const Response>> ParseResponse(const Field& root, const std::string& name);

// For ParseOptions.
std::vector<KindParser> KindParsers();

}  // namespace sluice::policy::response
