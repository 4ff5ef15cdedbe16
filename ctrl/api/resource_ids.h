// Which resources a request means. Pure.
#pragma once

#include <string>
#include <vector>

#include "api/sluice.pb.h"
#include "base/status.h"
#include "ctrl/reconcile/controller.h"
#include "policy/tracing/parser.h"

namespace sluice::api {

using Documents = google::protobuf::RepeatedPtrField<v1::Document>;

struct ReadDocuments {
  std::vector<policy::Resource> resources;
  std::vector<std::string> origins;  // of each of them
  std::vector<std::string> notices;  // a line each: what was left out, and what is in "default" by default
};

// All resources of the documents; InvalidArgument when there is none, or one twice.
StatusOr<ReadDocuments> ParseDocuments(const Documents& documents, const v1::ReadOptions& options = {},
                                       policy::tracing::Reading reading = policy::tracing::Reading::kCompiled);

// `refusal` of a change, with the file of the TracingPolicy that it begins with: only the kernel knows its reason, and
// the parser would have named the file.
Status InItsFile(const Status& refusal, const ReadDocuments& read);

struct Targets {
  std::vector<policy::ResourceId> ids;
  std::vector<std::string> notices;  // as above
};

// What to delete: the documents' resources and the targets, each once. A named target without a namespace is in
// "default". NotFound when a named target does not exist, unless that is to be ignored; InvalidArgument when its kind
// cannot be deleted or its name means several. Refused workloads that are closed may be deleted although they have no
// resource.
StatusOr<Targets> ParseTargets(const v1::DeleteRequest& request, const reconcile::View& view);

}  // namespace sluice::api
