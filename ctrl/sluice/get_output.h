// The forms in which `get` prints objects.
//   SL_ASSIGN_OR_RETURN(OutputForm form, OutputForm::Parse("custom-columns=NAME:.metadata.name"));
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "api/kinds.h"
#include "ctrl/sluice/json_path.h"
#include "ctrl/sluice/object_table.h"

namespace sluice::client {

class OutputForm {
 public:
  enum class Kind { kTable, kWide, kJson, kYaml, kName, kJsonPath, kColumns };

  // InvalidArgument says which forms there are.
  static StatusOr<OutputForm> Parse(const std::string& text);

  Kind kind() const { return kind_; }
  // Objects are printed one by one, as they come.
  bool IsStream() const { return kind_ == Kind::kJson || kind_ == Kind::kYaml || kind_ == Kind::kName; }
  bool IsTable() const { return kind_ == Kind::kTable || kind_ == Kind::kWide || kind_ == Kind::kColumns; }
  // The form is only for objects that have a document.
  bool NeedsDocument() const { return kind_ == Kind::kYaml || kind_ == Kind::kName; }
  void Ask(v1::GetRequest* request) const;

  // One object of a stream.
  StatusOr<std::string> ObjectText(const v1::Object& object, bool is_first) const;
  // All objects of one kind, for IsTable: the titles, and a line for each object in order.
  StatusOr<Table> ToTable(const api::KindSelection& selection, const std::vector<v1::Object>& objects) const;
  // All objects, for kJsonPath. The root is the object if it is a single named one, else a list with `items`.
  StatusOr<std::string> TemplateText(const std::vector<v1::Object>& objects, bool is_single) const;

 private:
  struct NamedPath {
    std::string title;
    JsonPath path;
  };
  Kind kind_ = Kind::kTable;
  std::optional<JsonTemplate> template_;
  std::vector<NamedPath> columns_;
};

}  // namespace sluice::client
