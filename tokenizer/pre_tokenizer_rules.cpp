#include <array>

#include "tokenizer/pre_tokenizer.h"

// The expressions are those of the models' own tokenizers, written so that each takes linear time on any
// text: a run of characters is never scanned again from each of its characters.
//   - (\p{N}+) with CutStep::cut = k stands for \p{N}{1,k}.
//   - A step that sets the runs of a class apart matches the runs between them, too; either become words.
namespace llamajit {
namespace {

// GPT-2's.
constexpr CutStep kGpt2Step{R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)"};
constexpr CutStep kSingleDigits{R"((\p{N}+)|\P{N}+)", 1};
constexpr CutStep kThreeAsciiDigits{"((?:[0-9]{3})++)", 3};

constexpr std::array kGpt2{kGpt2Step};
constexpr std::array kDigitsThenGpt2{kSingleDigits, kGpt2Step};
constexpr std::array kFalcon{CutStep{R"([\p{P}$+<=>^~|`]+|[^\p{P}$+<=>^~|`]+)"}, kGpt2Step,
                             kThreeAsciiDigits};
// llama.cpp's for files that name none.
constexpr std::array kDefault{CutStep{R"([\p{P}$+<=>^~|]+|[^\p{P}$+<=>^~|]+)"}, kGpt2Step,
                              CutStep{R"(\p{N}+|\P{N}+)"}, kThreeAsciiDigits};

constexpr std::string_view kLlama3Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|(\p{N}+)| ?[^\s\p{L}\p{N}]+[\r\n]*)"
    R"(|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::array kLlama3{CutStep{kLlama3Pattern, 3}};
constexpr std::array kQwen2{CutStep{kLlama3Pattern, 1}};
constexpr std::array kQwen35{CutStep{
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|(\p{N}+)| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*)"
    R"(|\s*[\r\n]+|\s+(?!\S)|\s+)",
    1}};
constexpr std::array kSeedCoder{
    CutStep{R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|(\p{N}+)| ?[^\s\p{L}\p{N}\r\n]+)"
            R"(|\s*[\r\n]+|\s+(?!\S)|\s+)",
            1}};
constexpr std::array kBailing{
    CutStep{R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|(\p{N}+)| ?[^\s\p{L}\p{N}]++[\r\n]*)"
            R"(|\s*[\r\n]|\s+(?!\S)|\s+)",
            1}};

// A word is capitals, then small letters, where the script has them.
constexpr std::array kTekken{
    CutStep{R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+)"
            R"(|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*)"
            R"(|(\p{N}+)| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
            1}};
constexpr std::array kGpt4o{
    CutStep{R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+)"
            R"((?i:'s|'t|'re|'ve|'m|'ll|'d)?)"
            R"(|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*)"
            R"((?i:'s|'t|'re|'ve|'m|'ll|'d)?)"
            R"(|(\p{N}+)| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
            3}};

constexpr CutStep kBloomStep{R"( ?[^(\s|.,!?\x{2026}\x{3002}\x{FF0C}\x{3001}\x{964}\x{6D4}\x{60C})]+)"};
constexpr std::array kBloom{kBloomStep};
constexpr std::array kViking{kBloomStep, kSingleDigits};

// A run of characters and a space in front of it. Between runs, white space is passed over in one step but
// for a space that the next run may take.
constexpr std::string_view kSpacedRun = R"(\s?[@]++|(?:[^\s@]++|\s+(?=\s|\z)|\s(?![@]))++)";
// The same for characters among which is U+3000, itself white space.
constexpr std::string_view kSpacedRunWith3000 =
    R"(\s?[@]++|(?:[^\s@]++|[^\S\x{3000}]+(?=[^\S\x{3000}]|\z)|[^\S\x{3000}](?![@]))++)";

// Letters of the scripts that have capitals, as DeepSeek counts them.
constexpr std::string_view kCasedLetters =
    R"(A-Za-z\x{B5}\x{C0}-\x{D6}\x{D8}-\x{F6}\x{F8}-\x{1BA}\x{1BC}-\x{1BF}\x{1C4}-\x{293})"
    R"(\x{295}-\x{2AF}\x{370}-\x{373}\x{376}\x{377}\x{37B}-\x{37D}\x{37F}\x{386}\x{388}-\x{38A}\x{38C})"
    R"(\x{38E}-\x{3A1}\x{3A3}-\x{3F5}\x{3F7}-\x{481}\x{48A}-\x{52F}\x{531}-\x{556}\x{10A0}-\x{10C5})"
    R"(\x{13A0}-\x{13F5}\x{13F8}-\x{13FD}\x{1C90}-\x{1CBA}\x{1CBD}-\x{1CBF}\x{1D00}-\x{1D2B})"
    R"(\x{1D6B}-\x{1D77}\x{1D79}-\x{1D9A}\x{1E00}-\x{1F15}\x{1F18}-\x{1F1D}\x{1F20}-\x{1F45})"
    R"(\x{1F48}-\x{1F4D}\x{1F50}-\x{1F57}\x{1F59}\x{1F5B}\x{1F5D}\x{1F5F}-\x{1F7D}\x{1F80}-\x{1FB4})"
    R"(\x{1FB6}-\x{1FBC}\x{1FBE}\x{1FC2}-\x{1FC4}\x{1FC6}-\x{1FCC}\x{1FD0}-\x{1FD3}\x{1FD6}-\x{1FDB})"
    R"(\x{1FE0}-\x{1FEC}\x{1FF2}-\x{1FF4}\x{1FF6}-\x{1FFC}\x{2102}\x{2107}\x{210A}-\x{2113}\x{2115})"
    R"(\x{2119}-\x{211D}\x{2124}\x{2126}\x{2128}\x{212A}-\x{212D}\x{212F}-\x{2134}\x{2139})"
    R"(\x{213C}-\x{213F}\x{2145}-\x{2149}\x{214E}\x{2183}\x{2184}\x{2C00}-\x{2C7B}\x{2C7E}-\x{2CE4})"
    R"(\x{2CEB}-\x{2CEE}\x{2CF2}\x{2CF3}\x{A640}-\x{A66D}\x{A680}-\x{A69B}\x{A722}-\x{A76F})"
    R"(\x{A771}-\x{A787}\x{A78B}-\x{A78E}\x{AB70}-\x{ABBF}\x{FB00}-\x{FB06}\x{FB13}-\x{FB17})"
    R"(\x{FF21}-\x{FF3A}\x{FF41}-\x{FF5A}\x{10400}-\x{1044F}\x{104B0}-\x{104D3}\x{104D8}-\x{104FB})"
    R"(\x{10C80}-\x{10CB2}\x{10CC0}-\x{10CF2}\x{118A0}-\x{118DF}\x{1E900}-\x{1E943})";

constexpr CutStep kNewLines{R"(([\r\n]+))", 1};
constexpr CutStep kDeepseekCjk{R"([\x{4E00}-\x{9FA5}\x{800}-\x{4E00}\x{AC00}-\x{D7FF}]+)"};
constexpr std::array kDeepseekCoder{kNewLines, CutStep{kSpacedRun, 0, R"(\p{L})"},
                                    CutStep{kSpacedRun, 0, R"(\p{P})"}, kDeepseekCjk, kSingleDigits};
constexpr std::array kDeepseekLlm{
    kNewLines,
    CutStep{kSpacedRun, 0, kCasedLetters},
    CutStep{kSpacedRunWith3000, 0,
            R"(!-/:-~\x{FF01}-\x{FF0F}\x{FF1A}-\x{FF5E}\x{2018}-\x{201F}\x{3000}-\x{3002})"},
    CutStep{R"(\s++\z|(?:\S++|\s++(?!\z))++)"},  // white space at the end: \s+$
    kDeepseekCjk,
    CutStep{R"(\p{N}+|\P{N}+)"}};
constexpr std::array kDeepseekV3{
    CutStep{R"((\p{N}+)|\P{N}+)", 3}, CutStep{R"([\x{4E00}-\x{9FA5}\x{3040}-\x{309F}\x{30A0}-\x{30FF}]+)"},
    CutStep{R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+)"
            R"(| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"}};

// Those with form C are the ones whose own tokenizers are known to have it: Qwen's, those of GPT-NeoX-20B's
// family (Pythia, MPT, OLMo), Cohere's, Stable LM 2's (Arcade100kTokenizer) and Hunyuan-A13B's (HYTokenizer). DeepSeek's distillations have Qwen's vocabulary, but not its form C.
constexpr PreTokenizerRule kRules[] = {
    {"default", kDefault},
    {"gpt-2", kGpt2},
    {.name = "gpt-neox", .steps = kGpt2, .nfc = true},
    {.name = "mpt", .steps = kGpt2, .nfc = true},
    {.name = "olmo", .steps = kGpt2, .nfc = true},
    {"jais", kGpt2},
    {"trillion", kGpt2},
    {"granite-docling", kGpt2},
    {"exaone4", kGpt2},
    {"phi-2", kGpt2},
    {"gigachat", kGpt2},
    {"a.x-4.0", kGpt2},
    {"mellum", kGpt2},
    {"modern-bert", kGpt2},
    {"jina-es", kGpt2},
    {"jina-de", kGpt2},
    {"jina-v1-en", kGpt2},
    {"jina-v2-es", kGpt2},
    {"jina-v2-de", kGpt2},
    {"jina-v2-code", kGpt2},
    {"roberta-bpe", kGpt2},
    {"starcoder", kDigitsThenGpt2},
    {"refact", kDigitsThenGpt2},
    {.name = "command-r", .steps = kDigitsThenGpt2, .nfc = true},
    {"cohere2_moe", kDigitsThenGpt2},
    {"smollm", kDigitsThenGpt2},
    {"codeshell", kDigitsThenGpt2},
    {"exaone", kDigitsThenGpt2},
    {"minerva-7b", kDigitsThenGpt2},
    {"mellum2", kDigitsThenGpt2},
    {"falcon", kFalcon},
    {"llama3", kLlama3, true, true},
    {"llama-v3", kLlama3, true, true},
    {"llama-bpe", kLlama3, true, true},
    {"falcon3", kLlama3, true, true},
    {"falcon-h1", kLlama3, true, true},
    {"pixtral", kLlama3, true, true},
    {"midm-2.0", kLlama3, true, true},
    {"lfm2", kLlama3, true, true},
    {"dbrx", kLlama3},
    {"smaug-bpe", kLlama3},
    {"glm4", kLlama3},
    {"chatglm-bpe", kLlama3},
    {.name = "qwen2", .steps = kQwen2, .nfc = true},
    {"deepseek-r1-qwen", kQwen2},
    {.name = "stablelm2", .steps = kQwen2, .nfc = true},
    {"megrez", kQwen2},
    {"kormo", kQwen2},
    {.name = "hunyuan", .steps = kQwen2, .nfc = true},
    {"grok-2", kQwen2},
    {"solar-open", kQwen2},
    {.name = "qwen35", .steps = kQwen35, .nfc = true},
    {"seed-coder", kSeedCoder},
    {"bailingmoe", kBailing},
    {"bailingmoe2", kBailing},
    {"llada-moe", kBailing},
    {"tekken", kTekken, true, true},
    {"gpt-4o", kGpt4o},
    {"llama4", kGpt4o},
    {"kanana2", kGpt4o},
    {"minimax-m2", kGpt4o},
    {"bloom", kBloom},
    {"poro-chat", kBloom},
    {"gpt3-finnish", kBloom},
    {"viking", kViking},
    {"deepseek-llm", kDeepseekLlm},
    {"deepseek-coder", kDeepseekCoder},
    {"deepseek-v3", kDeepseekV3},
    {"hunyuan-dense", kDeepseekV3},
    {"joyai-llm", kDeepseekV3},
};

}  // namespace

std::span<const PreTokenizerRule> pre_tokenizer_rules() {
  return kRules;
}

}  // namespace llamajit
