// Which resources a request means. Pure.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "ctrl/api/sluice.pb.h"
#include "ctrl/base/status.h"
#include "policy/resource_map.h"

namespace sluice::api {

using Documents = google::protobuf::RepeatedPtrField<v1::Document>;

// All resources of the documents; InvalidArgument when there is none, or one twice.
StatusOr<std::vector<policy::Resource>> ParseDocuments(const Documents& documents);

// What to delete: the documents' resources and the named targets, each once. A target without a namespace is in
// "default". NotFound when a target does not exist, InvalidArgument when its kind cannot be deleted or its name means
// several. `unbound`: workloads that may be deleted though no resource says them, as they were refused and are closed.
StatusOr<std::vector<policy::ResourceId>> ParseTargets(const v1::DeleteRequest& request,
                                                       const policy::ResourceMap& existing,
                                                       const std::map<policy::ObjectName, std::string>& unbound = {});

}  // namespace sluice::api
