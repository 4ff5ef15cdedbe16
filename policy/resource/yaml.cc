#include "policy/resource/yaml.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <sstream>

#include "base/printable.h"
#include "policy/resource/json.h"
#include "policy/resource/tree_builder.h"

namespace sluice::policy {
namespace {

// Passes yaml-cpp's events to the tree builder, one part of the text at a time. A part ends before the next "---".
class YamlEvents : public YAML::EventHandler {
 public:
  explicit YamlEvents(TreeBuilder& builder) : builder_(builder) {}

  void BeginPart(int line) {
    first_line_ = line;
    documents_ = 0;
  }
  Place At(const YAML::Mark& mark) const { return {.line = first_line_ + mark.line, .column = mark.column + 1}; }

  void OnDocumentStart(const YAML::Mark& mark) override {
    // When yaml-cpp cannot parse the rest of a document, it starts a new document there, again and again without end.
    if (++documents_ > 1) {
      throw TreeError(At(mark), "unexpected text after the end of the document: a new one starts with \"---\"");
    }
    builder_.BeginDocument();
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override { builder_.Null(At(mark), anchor); }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override { builder_.Alias(At(mark), anchor); }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    const bool quoted = tag != "?";
    if (quoted) CheckTag(mark, tag, "tag:yaml.org,2002:str");
    builder_.Scalar(At(mark), value, quoted, anchor);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    CheckTag(mark, tag, "tag:yaml.org,2002:seq");
    builder_.OpenSequence(At(mark), anchor);
  }
  void OnSequenceEnd() override { builder_.CloseSequence(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    CheckTag(mark, tag, "tag:yaml.org,2002:map");
    builder_.OpenMap(At(mark), anchor);
  }
  void OnMapEnd() override { builder_.CloseMap(); }

 private:
  void CheckTag(const YAML::Mark& mark, const std::string& tag, std::string_view own) const {
    if (tag != "?" && tag != "!" && !tag.empty() && tag != own) throw TreeError(At(mark), "unsupported tag " + tag);
  }

  TreeBuilder& builder_;
  int first_line_ = 1;  // of the part
  int documents_ = 0;   // in the part
};

}  // namespace

const YamlNode* YamlNode::Find(std::string_view key) const {
  const auto entry = std::find_if(entries.begin(), entries.end(), [&](const Entry& e) { return e.key == key; });
  return entry == entries.end() ? nullptr : entry->value.get();
}

// yaml-cpp treats 0x04 as the end of the text and guesses encodings. Neither may hide a part of the file.
std::optional<TextError> FindBadCharacter(std::string_view text) {
  Place place{.line = 1, .column = 1};
  for (std::size_t i = 0; i < text.size();) {
    const auto c = static_cast<unsigned char>(text[i]);
    const std::size_t length = Utf8Length(text.substr(i));
    if (length == 0) return TextError{place, fmt::format("byte 0x{:02x} is not UTF-8", c)};
    const bool line_end = c == '\n' || (c == '\r' && i + 1 < text.size() && text[i + 1] == '\n');
    if ((c < 0x20 && c != '\t' && !line_end) || c == 0x7f) {
      return TextError{place, fmt::format("control character 0x{:02x}: write it as an escape in double quotes", c)};
    }
    place = c == '\n' ? Place{.line = place.line + 1, .column = 1}
                      : Place{.line = place.line, .column = place.column + static_cast<int>(length)};
    i += length;
  }
  return std::nullopt;
}

Status CheckCharacters(std::string_view origin, std::string_view text) {
  const auto error = FindBadCharacter(text);
  return error ? InvalidError("{}:{}: {}", origin, error->place.line, error->what) : OkStatus();
}

namespace {

// Offset of the next line that starts a document, after the first line; or the end of the text.
std::size_t NextStart(std::string_view text) {
  for (std::size_t at = text.find('\n'); at != std::string_view::npos; at = text.find('\n', at + 1)) {
    const std::string_view rest = text.substr(at + 1);
    if (rest.starts_with("---") && (rest.size() == 3 || std::string_view(" \t\r\n").find(rest[3]) != rest.npos)) {
      return at + 1;
    }
  }
  return text.size();
}

void CheckFlowIndicators(std::string_view text, int line) {
  std::size_t count = 0;
  for (const char c : text) {
    if (c == '\n') ++line;
    if (c != '{' && c != '}' && c != '[' && c != ']' && c != ',') continue;
    if (++count > kMaxYamlFlowIndicators) {
      throw TreeError({.line = line, .column = 1},
                      fmt::format("too large: more than {} brackets, braces and commas in one document: split it, or "
                                  "write it in block style (`kubectl get -o yaml`)",
                                  kMaxYamlFlowIndicators));
    }
  }
}

// The part without a leading "---".
std::string_view WithoutStart(std::string_view part) {
  if (part.starts_with("---")) part.remove_prefix(3);
  return part;
}

class Reader {
 public:
  Reader(const YamlVisitor& visit, std::vector<TextError>* duplicates)
      : visit_(visit), duplicates_(duplicates), events_(builder_) {}

  Place At(const YAML::Mark& mark) const { return events_.At(mark); }

  // One document, or the text before the first "---". JSON text may hold several documents.
  void ReadPart(std::string_view part, int line) {
    std::vector<TreeBuilder::Node> values;
    builder_.NoteDuplicates(nullptr);
    if (ReadJson(WithoutStart(part), line, builder_, values)) {
      for (const TreeBuilder::Node& value : values) visit_(*value, ++documents_);
      return;
    }
    CheckFlowIndicators(part, line);
    builder_.NoteDuplicates(duplicates_);
    events_.BeginPart(line);
    std::istringstream stream{std::string(part)};
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(events_)) {
      ++documents_;
      const TreeBuilder::Node root = builder_.TakeDocument();
      if (root && root->type != YamlNode::Type::kNull) visit_(*root, documents_);
    }
  }

 private:
  const YamlVisitor& visit_;
  std::vector<TextError>* duplicates_;
  TreeBuilder builder_;
  YamlEvents events_;
  int documents_ = 0;
};

}  // namespace

std::optional<TextError> ParseYaml(std::string_view text, const YamlVisitor& visit,
                                   std::vector<TextError>* duplicates) {
  if (auto bad = FindBadCharacter(text)) return bad;
  Reader reader(visit, duplicates);
  try {
    // A new parser for each document: yaml-cpp would keep an unfinished document in memory past the start of the next.
    for (int line = 1; !text.empty();) {
      const std::string_view part = text.substr(0, NextStart(text));
      reader.ReadPart(part, line);
      line += static_cast<int>(std::count(part.begin(), part.end(), '\n'));
      text.remove_prefix(part.size());
    }
    return std::nullopt;
  } catch (const TreeError& e) {
    return TextError{e.place, e.what()};
  } catch (const YAML::Exception& e) {
    return TextError{reader.At(e.mark), e.msg};
  } catch (const std::exception& e) {
    return TextError{{}, fmt::format("cannot be read as YAML: {}", e.what())};
  }
}

}  // namespace sluice::policy
