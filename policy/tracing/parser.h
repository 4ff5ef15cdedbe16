// A document of kind TracingPolicy or TracingPolicyNamespaced -> the model, or errors that name file, line, field and
// value. The format is Tetragon's (cilium.io/v1alpha1, of its 1.8 development line); what Sluice adds, refuses or reads
// more strictly is in docs/tracing-policy.md. Pure.
//   policy::ParseText(origin, text, {.more_kinds = tracing::KindParsers(Reading::kParsed)});
#pragma once

#include <memory>
#include <vector>

#include "policy/resource/parser.h"
#include "policy/tracing/model.h"

namespace sluice::policy::tracing {

// `root` is the whole document, `name` its checked name: without a namespace it is a TracingPolicy, with one a
// TracingPolicyNamespaced. Error: InvalidArgument, the first problem; the document has all of them.
StatusOr<std::shared_ptr<const TracingPolicy>> ParseTracingPolicy(const Field& root, const ObjectName& name);

// How much of a document must be right. What a later version compiles no more must still be read where it is saved.
enum class Reading { kParsed, kCompiled };

// Both kinds, for ParseOptions.
std::vector<KindParser> KindParsers(Reading reading);

}  // namespace sluice::policy::tracing
