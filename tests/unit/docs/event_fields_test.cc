// docs/events.md has a line for each field of each event (api/sluice.proto), and for each process flag.
#include <gtest/gtest.h>
#include <re2/re2.h>

#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include "api/sluice.pb.h"

namespace sluice {
namespace {

using google::protobuf::Descriptor;

// JSON field names of a message and all its submessages; messages of other files are plain values.
void CollectFields(const Descriptor& message, std::set<const Descriptor*>& seen, std::set<std::string>& names) {
  if (message.map_key() != nullptr || message.file() != v1::Event::descriptor()->file() ||
      !seen.insert(&message).second)
    return;
  for (int i = 0; i < message.field_count(); ++i) {
    const auto& field = *message.field(i);
    if (&message != v1::Event::descriptor()) names.insert(field.json_name());
    if (field.message_type() != nullptr) CollectFields(*field.message_type(), seen, names);
  }
}

TEST(DocsEvents, EachFieldHasALine) {
  const char* const source = std::getenv("SLUICE_SOURCE_DIR");
  std::ostringstream page;
  page << std::ifstream(std::string(source == nullptr ? "." : source) + "/docs/events.md").rdbuf();
  std::set<const Descriptor*> seen;
  std::set<std::string> names;
  CollectFields(*v1::Event::descriptor(), seen, names);
  const auto& flags = *v1::Process::Flag_descriptor();
  for (int i = 1; i < flags.value_count(); ++i) names.insert(flags.value(i)->name());
  EXPECT_GT(names.size(), 50U);
  for (const std::string& name : names)
    EXPECT_TRUE(RE2::PartialMatch(page.str(), R"([`.])" + name + R"([`.\[])")) << "docs/events.md lacks: " << name;
}

}  // namespace
}  // namespace sluice
