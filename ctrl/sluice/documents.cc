#include "ctrl/sluice/documents.h"

#include "policy/resource/yaml.h"

namespace sluice::client {

Status FillDocuments(const ResourceArgs& args, Documents* documents, v1::ReadOptions* read) {
  SL_ASSIGN_OR_RETURN(auto files, ReadAll(args));
  for (resources::ResourceFile& file : files) {
    // A protobuf string holds nothing else.
    SL_RETURN_IF_ERROR(policy::CheckCharacters("file name", file.path));
    SL_RETURN_IF_ERROR(policy::CheckCharacters(file.path, file.text));
    v1::Document& document = *documents->Add();
    document.set_origin(std::move(file.path));
    document.set_yaml(std::move(file.text));
  }
  read->set_default_namespace(args.default_namespace);
  read->set_skip_unknown(args.skip_unknown);
  read->set_lenient(args.lenient);
  return OkStatus();
}

}  // namespace sluice::client
