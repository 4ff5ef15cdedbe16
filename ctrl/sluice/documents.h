// Resource files as `apply` and `delete` send them.
#pragma once

#include "api/sluice.pb.h"
#include "ctrl/sluice/resource_args.h"

namespace sluice::client {

using Documents = google::protobuf::RepeatedPtrField<v1::Document>;

// What `args` names, and how it is to be read. Errors as ReadAll.
Status FillDocuments(const ResourceArgs& args, Documents* documents, v1::ReadOptions* read);

}  // namespace sluice::client
