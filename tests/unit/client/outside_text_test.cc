// Foreign text in every field of every message: no output contains terminal commands or extra lines because of it.
#include <google/protobuf/message.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/printable.h"
#include "ctrl/sluice/changes_text.h"
#include "ctrl/sluice/explain_text.h"
#include "ctrl/sluice/object_table.h"
#include "ctrl/sluice/status_text.h"
#include "ctrl/sluice/traffic_rates.h"
#include "telemetry/event/flow_text.h"
#include "telemetry/event/json.h"
#include "telemetry/event/process_text.h"

namespace sluice::client {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// A line end, an escape sequence, CSI in eight bits, an override of direction, an isolate, a zero-width space, a tag.
constexpr char kNasty[] = "/a\n\x1b[31m\xc2\x9b\x32J\xe2\x80\xae\xe2\x81\xa6\xe2\x80\x8b\xf3\xa0\x80\xa0\r\x08\x7f z";

// Sets every string of the message and its submessages to `text`; lists get two entries.
void Fill(Message* message, const std::string& text, int depth = 0) {
  const auto* reflection = message->GetReflection();
  for (int i = 0; i < message->GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor* field = message->GetDescriptor()->field(i);
    const bool oneof_taken =
        field->real_containing_oneof() != nullptr && reflection->HasOneof(*message, field->real_containing_oneof());
    if (oneof_taken || field->is_map()) continue;
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_STRING) {
      if (field->is_repeated()) {
        for (int k = 0; k < 2; ++k) reflection->AddString(message, field, text);
      } else {
        reflection->SetString(message, field, text);
      }
    }
    const bool time = field->message_type() != nullptr && field->message_type()->file()->package() == "google.protobuf";
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE && depth < 4 && !time) {
      Fill(field->is_repeated() ? reflection->AddMessage(message, field) : reflection->MutableMessage(message, field),
           text, depth + 1);
    }
  }
}

template <typename Type>
Type Filled(const std::string& text) {
  Type message;
  Fill(&message, text);
  return message;
}

// Compares the output for any text with the output for harmless text.
template <typename Show>
void ExpectHarmless(const char* what, const Show& show) {
  const std::string nasty = show(kNasty);
  const std::string plain = show("a");
  EXPECT_EQ(PrintableLines(nasty), nasty) << what;
  EXPECT_NE(nasty.find(what[0] == 'j' ? "\\u001b" : "\\x1b"), std::string::npos)
      << what << " shows it at all: " << nasty;
  EXPECT_EQ(std::count(nasty.begin(), nasty.end(), '\n'), std::count(plain.begin(), plain.end(), '\n')) << what;
}

template <typename Member>
v1::Event EventOf(Member* (v1::Event::*member)(), const std::string& text) {
  v1::Event event;
  Fill((event.*member)(), text);
  return event;
}

template <typename Member>
void ExpectHarmlessEvent(const char* what, Member* (v1::Event::*member)()) {
  ExpectHarmless(what, [&](const std::string& text) { return telemetry::EventText(EventOf(member, text)); });
  ExpectHarmless("json", [&](const std::string& text) { return *telemetry::EventToJson(EventOf(member, text)); });
}

TEST(OutsideText, Events) {
  ExpectHarmlessEvent("flow", &v1::Event::mutable_flow);
  ExpectHarmlessEvent("lost", &v1::Event::mutable_lost);
  ExpectHarmlessEvent("exec", &v1::Event::mutable_exec);
  ExpectHarmlessEvent("fork", &v1::Event::mutable_fork);
  ExpectHarmlessEvent("exit", &v1::Event::mutable_exit);
  ExpectHarmlessEvent("hook", &v1::Event::mutable_hook);
}

TEST(OutsideText, NamesOfKernelTasks) {
  ExpectHarmless("[comm]", [](const std::string& text) {
    v1::Process process;
    process.set_name(text);
    return telemetry::CommandText(process);
  });
}

TEST(OutsideText, Tables) {
  for (const char* const kind :
       {"workloads", "pods", "namespaces", "networkpolicies", "identities", "rulesets", "processes", "flows"}) {
    const auto selection = api::ParseKind(kind);
    ASSERT_TRUE(selection.ok()) << kind;
    ExpectHarmless(kind, [&](const std::string& text) {
      std::vector<v1::Object> objects(1);
      switch (selection->listing) {
        case api::Listing::kFlows:
          Fill(objects[0].mutable_flow(), text);
          break;
        case api::Listing::kProcesses:
          Fill(objects[0].mutable_process(), text);
          break;
        case api::Listing::kIdentities:
          Fill(objects[0].mutable_identity(), text);
          break;
        case api::Listing::kRulesets:
          Fill(objects[0].mutable_ruleset(), text);
          break;
        case api::Listing::kResources:
          Fill(objects[0].mutable_resource(), text);
          break;
      }
      return ToTable(*selection, objects).ToString();
    });
  }
}

TEST(OutsideText, Top) {
  const auto rows = [](const std::string& text) {
    TrafficRates::Row row;
    row.workload = row.binary = text;
    return std::vector<TrafficRates::Row>{row};
  };
  ExpectHarmless(
      "top", [&](const std::string& text) { return MakeTrafficTable(rows(text), v1::TopRequest::PROGRAM).ToString(); });
  ExpectHarmless("json", [&](const std::string& text) { return TrafficJson(rows(text)[0]); });
}

TEST(OutsideText, StatusExplanationAndChanges) {
  ExpectHarmless("status", [](const std::string& text) {
    auto status = Filled<v1::AgentStatus>(text);
    status.mutable_features(0)->set_present(false);
    return StatusText(status);
  });
  ExpectHarmless("explain", [](const std::string& text) {
    auto explanation = Filled<v1::Explanation>(text);
    explanation.mutable_egress()->set_by_process(true);
    return ExplanationText(explanation);
  });
  ExpectHarmless("changes",
                 [](const std::string& text) { return ChangesText(Filled<v1::ApplyReply>(text).changes(), 1); });
}

// One argument never looks like two, even where it could deceive a shell user.
TEST(OutsideText, ArgumentsAreTold) {
  const auto shown = [](const std::vector<std::string>& arguments) {
    v1::Process process;
    process.set_binary("/bin/x");
    for (const std::string& argument : arguments) process.add_arguments(argument);
    return telemetry::CommandText(process);
  };
  EXPECT_EQ(shown({"-h", "db"}), "/bin/x -h db");
  EXPECT_EQ(shown({"x y\" \"z w"}), R"(/bin/x "x y\" \"z w")");
  EXPECT_EQ(shown({"x y", "z w"}), R"(/bin/x "x y" "z w")");
  EXPECT_NE(shown({"\x1b"}), shown({"\\x1b"}));
  EXPECT_NE(shown({"a", "b"}), shown({"a b"}));
  EXPECT_NE(shown({""}), shown({}));
}

}  // namespace
}  // namespace sluice::client
