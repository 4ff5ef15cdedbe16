#include "ctrl/sluice/get_output.h"

#include <algorithm>

#include "base/printable.h"
#include "ctrl/sluice/object_json.h"

namespace sluice::client {
namespace {

constexpr std::string_view kJsonPath = "jsonpath=";
constexpr std::string_view kColumns = "custom-columns=";

StatusOr<Json> ToJson(const v1::Object& object) {
  SL_ASSIGN_OR_RETURN(const std::string line, ToJsonLine(object));
  Json json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) return MakeError(absl::StatusCode::kInternal, "not JSON: {}", line);
  return json;
}

std::string NameText(const v1::Object& object) {
  std::string kind = object.resource().ref().kind();
  std::transform(kind.begin(), kind.end(), kind.begin(), [](unsigned char c) { return std::tolower(c); });
  return Printable(kind + "/" + object.resource().ref().name()) + "\n";
}

std::string YamlText(const v1::Object& object, bool is_first) {
  std::string text = PrintableLines(object.resource().yaml());
  if (!text.empty() && text.back() != '\n') text += '\n';
  return (is_first ? "" : "---\n") + text;
}

}  // namespace

StatusOr<OutputForm> OutputForm::Parse(const std::string& text) {
  OutputForm form;
  if (text.starts_with(kJsonPath)) {
    form.kind_ = Kind::kJsonPath;
    SL_ASSIGN_OR_RETURN(form.template_, JsonTemplate::Parse(std::string_view(text).substr(kJsonPath.size())));
    return form;
  }
  if (text.starts_with(kColumns)) {
    form.kind_ = Kind::kColumns;
    std::string_view rest = std::string_view(text).substr(kColumns.size());
    while (!rest.empty()) {
      const std::string_view one = rest.substr(0, rest.find(','));
      rest.remove_prefix(std::min(rest.size(), one.size() + 1));
      const std::size_t colon = one.find(':');
      if (colon == 0 || colon == std::string_view::npos || colon + 1 == one.size()) {
        return InvalidError("-o {}{}: expected TITLE:.path, as NAME:.metadata.name", kColumns, one);
      }
      SL_ASSIGN_OR_RETURN(JsonPath path, JsonPath::Parse(one.substr(colon + 1)));
      form.columns_.push_back({std::string(one.substr(0, colon)), std::move(path)});
    }
    if (form.columns_.empty()) return InvalidError("-o {}: no columns", text);
    return form;
  }
  static const std::vector<std::pair<std::string, Kind>> forms = {{"table", Kind::kTable},
                                                                  {"wide", Kind::kWide},
                                                                  {"json", Kind::kJson},
                                                                  {"yaml", Kind::kYaml},
                                                                  {"name", Kind::kName}};
  for (const auto& [name, kind] : forms) {
    if (name != text) continue;
    form.kind_ = kind;
    return form;
  }
  return InvalidError(
      "-o {}: there are table, wide, json, yaml, name, jsonpath=TEMPLATE and custom-columns=NAME:PATH,...", text);
}

void OutputForm::Ask(v1::GetRequest* request) const {
  request->set_with_yaml(kind_ == Kind::kYaml);
  request->set_with_json(kind_ == Kind::kJson || kind_ == Kind::kJsonPath || kind_ == Kind::kColumns);
}

StatusOr<std::string> OutputForm::ObjectText(const v1::Object& object, bool is_first) const {
  if (kind_ == Kind::kYaml) return YamlText(object, is_first);
  if (kind_ == Kind::kName) return NameText(object);
  SL_ASSIGN_OR_RETURN(const std::string json, ToJsonLine(object));
  return json + "\n";
}

StatusOr<Table> OutputForm::ToTable(const api::KindSelection& selection, const std::vector<v1::Object>& objects) const {
  if (kind_ != Kind::kColumns) {
    return client::ToTable(selection, objects, kind_ == Kind::kWide ? Width::kWide : Width::kNormal);
  }
  std::vector<Column> titles;
  for (const NamedPath& column : columns_) titles.push_back({column.title});
  Table table(titles);
  for (const v1::Object& object : objects) {
    SL_ASSIGN_OR_RETURN(const Json json, ToJson(object));
    std::vector<std::string> cells;
    for (const NamedPath& column : columns_) {
      const auto values = column.path.Find(json);
      cells.push_back(values.empty() ? "<none>" : Printable(ValuesText(values, ",")));
    }
    table.Add(std::move(cells));
  }
  return table;
}

StatusOr<std::string> OutputForm::TemplateText(const std::vector<v1::Object>& objects, bool is_single) const {
  Json list{{"items", Json::array()}};
  for (const v1::Object& object : objects) {
    SL_ASSIGN_OR_RETURN(Json json, ToJson(object));
    list["items"].push_back(std::move(json));
  }
  const bool is_object = is_single && objects.size() == 1;
  return PrintableLines(template_->Fill(is_object ? list["items"].front() : list));
}

}  // namespace sluice::client
