// Numbers and paths in docs/ match the code.
#include <gtest/gtest.h>
#include <re2/re2.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>

#include "base/status.h"
#include "bpf/abi/events.h"
#include "bpf/abi/flow_table.h"
#include "bpf/abi/policy.h"
#include "bpf/abi/process_class.h"
#include "bpf/lib/flow_hash.h"
#include "ctrl/reconcile/state_store.h"
#include "kernel/bpf/object.h"
#include "kernel/bpf/pin_layout.h"

namespace sluice {
namespace {

std::string Page(const std::string& name) {
  const char* const source = std::getenv("SLUICE_SOURCE_DIR");
  std::ostringstream text;
  text << std::ifstream(std::string(source == nullptr ? "." : source) + "/docs/" + name).rdbuf();
  return text.str();
}

struct Stated {
  const char* page;
  const char* words;  // RE2; its group is the number
  std::uint64_t number;
};

const bpf::ObjectOptions kSizes;
constexpr std::uint64_t kSlotBytes = SL_FLOW_WAYS * sizeof(sl_flow) + sizeof(sl_flow_bucket);

const Stated kStated[] = {
    {"pins.md", R"(ABI version \(.*\) is (\d+))", SL_ABI_VERSION},
    {"pins.md", R"(`ROOT/v(\d+)`)", SL_ABI_VERSION},
    {"architecture.md", R"(ABI version, now (\d+))", SL_ABI_VERSION},
    {"architecture.md", R"((\d+) slots of a bucket)", SL_FLOW_WAYS},
    {"architecture.md", R"(At most (\d+) of a bucket's flows are established)", SL_FLOW_ESTABLISHED_WAYS},
    {"architecture.md", R"(A flow has (\d+) bytes)", sizeof(sl_flow)},
    {"architecture.md", R"(key of (\d+) bytes)", sizeof(sl_flow_key)},
    {"architecture.md", R"((\d+) fragments for each workload)", SL_FRAGMENTS},
    {"architecture.md", R"(binary search of at most (\d+) steps)", SL_MAX_SEARCH_STEPS},
    {"architecture.md", R"(up to (\d+) predicates)", SL_MAX_PROCESS_CONDITIONS},
    {"architecture.md", R"(by default (\d+) buckets)", SL_FLOW_BUCKETS(kSizes.flows)},
    {"glossary.md", R"(up to (\d+) predicates)", SL_MAX_PROCESS_CONDITIONS},
    {"glossary.md", R"(bucket \| (\d+) slots)", SL_FLOW_WAYS},
    {"policy.md", R"(At most (\d+) distinct patterns)", SL_MAX_PROGRAM_PATTERNS},
    {"policy.md", R"(at most (\d+) bytes)", SL_PROGRAM_PATH_MAX},
    {"policy.md", R"(more than (\d+) programs)", SL_MAX_ANCESTORS},
    {"attribution.md", R"(cookies modulo (\d+))", SL_SOCKETS_CLOSED},
    {"shared-resources.md", R"(4,(\d+) workloads a node)", SL_MAX_ENDPOINTS - 1 - 4000},
    {"sizing.md", R"(`--max-addresses` \| (\d+))", kSizes.epoch_addresses},
    {"sizing.md", R"(`--max-prefixes` \| (\d+))", kSizes.epoch_prefixes},
    {"sizing.md", R"(`--max-peers` \| (\d+))", kSizes.epoch_peers},
    {"sizing.md", R"(`--max-port-entries` \| (\d+))", kSizes.epoch_ports},
    {"sizing.md", R"(`--max-flows` \| (\d+))", kSizes.flows},
    {"sizing.md", R"(`--max-denied-flows` \| (\d+))", kSizes.flows_denied},
    {"sizing.md", R"(and of the node \| (\d+))", 3 * sizeof(sl_address_entry)},
    {"sizing.md", R"(of their own \| (\d+))", 3 * sizeof(sl_peer_entry)},
    {"sizing.md", R"(of all rules \| (\d+))", SL_EPOCHS*((sizeof(sl_port_entry) + 7) / 8 * 8)},
    {"sizing.md", R"(in all states \| (\d+))", (kSlotBytes + SL_FLOW_WAYS - 1) / SL_FLOW_WAYS},
    {"sizing.md", R"(local workloads \| (\d+))", SL_MAX_ENDPOINTS - 1},
    {"sizing.md", R"(`process_verdicts` \| (\d+))", SL_MAX_PROCESS_VERDICTS},
    {"sizing.md", R"(TCP (\d+) s)", SL_CT_TIMEOUT_TCP_ESTABLISHED / SL_SECOND_NS},
    {"sizing.md", R"((\d+) s after both FINs)", SL_CT_TIMEOUT_TCP_CLOSED / SL_SECOND_NS},
    {"sizing.md", R"(other protocols (\d+) s)", SL_CT_TIMEOUT_TALKING / SL_SECOND_NS},
    {"sizing.md", R"((\d+) s for a single question)", SL_CT_TIMEOUT_SINGLE / SL_SECOND_NS},
};

TEST(DocsConstants, AreThoseOfTheCode) {
  for (const Stated& stated : kStated) {
    const std::string text = Page(stated.page);
    std::uint64_t number = 0;
    EXPECT_TRUE(RE2::PartialMatch(text, stated.words, &number)) << "docs/" << stated.page << " lacks: " << stated.words;
    EXPECT_EQ(number, stated.number) << "docs/" << stated.page << ": " << stated.words;
  }
}

TEST(DocsConstants, PathsAreThoseOfTheCode) {
  const std::string text = Page("pins.md");
  const bpf::PinLayout pins("ROOT");
  for (const std::string& path : {pins.map("NAME"), pins.links_dir() + "/PROGRAM-IFINDEX", pins.link("tc_to_pod", 12),
                                  pins.probes_dir() + "/processes/PROGRAM", pins.probes_dir() + "/sockets/PROGRAM",
                                  std::string(reconcile::StateStore::kDefaultDirectory) + "/state.db"}) {
    const std::string shown = path.ends_with("-12") ? path.substr(path.rfind('/') + 1) : path;
    EXPECT_NE(text.find("`" + shown + "`"), std::string::npos) << shown;
  }
}

// The example packet of architecture.md: its flow has the slot given there.
TEST(DocsConstants, TheWorkedPacketsSlot) {
  const __u64 seeds[SL_HASH_SEEDS] = {
      2870054482720718001U, 18368072975750837405U, 10836248384489533295U, 6988564060766174507U,  13860315059595677665U,
      1999305197422185737U, 9311043399721852858U,  9966646228838659577U,  10003625957472698747U, 14727930936869924736U};
  const unsigned char lo[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 1, 0, 2};
  sl_flow_key key{};
  std::memcpy(key.lo.bytes, lo, sizeof(lo));
  std::memcpy(key.hi.bytes, lo, sizeof(lo));
  key.hi.bytes[15] = 3;
  key.lo_port = __builtin_bswap16(40112);
  key.hi_port = __builtin_bswap16(5432);
  key.protocol = 6;
  const std::uint32_t hash = sl_flow_hash(seeds, &key), buckets = SL_FLOW_BUCKETS(kSizes.flows);
  const std::string text = Page("architecture.md");
  for (const std::string& shown :
       {fmt::format("{:#x}", hash), fmt::format("bucket {}", sl_flow_bucket_of(hash, buckets)),
        fmt::format("way {}", sl_flow_way_of(hash)), fmt::format("{:#x}", sl_flow_tag_of(hash) | SL_FLOW_PENDING)}) {
    EXPECT_NE(text.find(shown), std::string::npos) << shown;
  }
}

}  // namespace
}  // namespace sluice
