"""The Korean half of the grammar, in the style in which children are told stories (해요체).

A word that is a `Word` takes its particles through format specifications: f"{Word('여우'):이}" is 여우가.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

# After a final consonant, and after a vowel.
PARTICLES = {"은": ("은", "는"), "이": ("이", "가"), "을": ("을", "를"), "과": ("과", "와"), "아": ("아", "야"),
             "으로": ("으로", "로"), "이라는": ("이라는", "라는"), "이었": ("이었", "였"), "이에요": ("이에요", "예요"),
             "이야": ("이야", "야"), "에": ("에", "에")}
RIEUL = 8  # the number of ㄹ among the final consonants


def final_consonant(word: str) -> int:
    """0 if the last syllable ends in a vowel."""
    return (ord(word[-1]) - 0xAC00) % 28


class Word(str):
    """A noun; its format specification is a particle in the form that follows a consonant."""

    def __format__(self, spec: str) -> str:
        if not spec:
            return str(self)
        particle, rest = next(((p, spec[len(p):]) for p in sorted(PARTICLES, key=len, reverse=True) if spec.startswith(p)))
        final = final_consonant(self)
        vowel = final == 0 or (particle == "으로" and final == RIEUL)
        return str(self) + PARTICLES[particle][vowel] + rest


NAMES = [Word(n) for n in "하늘 보람 콩이 솔이 누리 별이 바다 미미 두리 가람 나래 다솜 마루 보리 새롬 초롱 한별 해나 은비 도담 아라 달래 이슬 구름".split()]
HEROES = [Word(n) for n in "소녀 소년 여우 토끼 곰 생쥐 고양이 강아지 오리 양 사슴 고슴도치 다람쥐 개구리 망아지 판다".split()]
ADJECTIVES = "작은 어린 호기심 많은|용감한|수줍은|착한|밝은|똑똑한|장난꾸러기|상냥한".replace("작은 어린 ", "작은|어린|").split("|")
FAMILIES = [Word(n) for n in "엄마 할머니 아빠 할아버지".split()]
PLACES = {
    "푸른 숲속": ["나무들은 구름에 닿을 만큼 키가 컸어요.", "아침이면 나뭇잎 사이로 금빛 햇살이 비쳤어요."],
    "작은 마을": ["집집마다 지붕이 빨간색이었어요.", "저녁이면 골목마다 빵 굽는 냄새가 났어요."],
    "꽃이 가득한 골짜기": ["봄이 되면 골짜기가 온통 노란색이 되었어요.", "꿀벌들이 하루 종일 윙윙거렸어요."],
    "바닷가 작은 집": ["밤이면 창문으로 파도 소리가 들려왔어요.", "지붕 위에는 하얀 새들이 앉아 있었어요."],
    "눈 덮인 산골 마을": ["굴뚝마다 하얀 연기가 피어올랐어요.", "눈은 봄이 끝날 때까지 녹지 않았어요."],
    "오래된 농장": ["커다란 헛간 뒤에는 밀밭이 있었어요.", "해가 뜨면 수탉이 모두를 깨웠어요."],
    "조용한 들판": ["작은 시냇물이 하루 종일 노래했어요.", "나비들이 풀밭 위에서 춤을 추었어요."],
    "연못이 있는 정원": ["연못에는 금빛 물고기가 살았어요.", "담장에는 장미가 가득 피어 있었어요."],
}
HABITS = ["해가 질 때까지 밖에서 놀았어요", "꽃과 열매를 모았어요", "하늘의 구름을 세었어요", "나무 아래에서 꿈을 꾸었어요",
          "새들에게 노래를 불러 주었어요", "꽃에 물을 주었어요"]


@dataclass(frozen=True)
class Thing:
    name: str
    noun: Word
    reason: str  # before "싶었어요"
    used: str  # at the end


THINGS = [
    Thing("빨간", Word("연"), "언덕 위로 높이 날리고", "언덕 위로 연을 높이 날렸어요"),
    Thing("파란", Word("공"), "하루 종일 던지며 놀고", "하루 종일 공을 던지며 놀았어요"),
    Thing("황금", Word("종"), "아침마다 종소리를 듣고", "아침마다 종을 울렸어요"),
    Thing("따뜻한", Word("모자"), "겨울에 쓰고", "겨울 내내 모자를 쓰고 다녔어요"),
    Thing("은빛", Word("열쇠"), "집에 있는 낡은 상자를 열고", "열쇠로 낡은 상자를 열었어요"),
    Thing("작은", Word("북"), "봄 잔치에서 치고", "봄 잔치에서 신나게 북을 쳤어요"),
    Thing("나무", Word("배"), "연못에 띄우고", "연못에 배를 띄웠어요"),
    Thing("재미있는", Word("그림책"), "자기 전에 읽고", "밤마다 자기 전에 그림책을 읽었어요"),
    Thing("노란", Word("우산"), "빗속을 걷고", "우산을 쓰고 빗속을 걸었어요"),
    Thing("반짝이는", Word("돌"), "창가에 두고", "돌을 창가에 두고 매일 바라보았어요"),
    Thing("부드러운", Word("담요"), "추운 밤에 덮고", "추운 밤마다 담요를 덮고 잤어요"),
    Thing("종이", Word("등불"), "어두운 길을 밝히고", "등불을 들고 어두운 길을 밝혔어요"),
    Thing("초록색", Word("목도리"), "바람 부는 날에 두르고", "바람 부는 날마다 목도리를 둘렀어요"),
    Thing("작은", Word("피리"), "달님에게 노래를 들려주고", "피리로 달님에게 노래를 들려주었어요"),
]


@dataclass(frozen=True)
class Obstacle:
    where: str  # after the thing with 이
    problem: str
    short: str
    attempt: str
    helpers: tuple[Word, ...]
    promise: str
    help: str


def _words(text: str) -> tuple[Word, ...]:
    return tuple(Word(w) for w in text.split())


OBSTACLES = [
    Obstacle("높은 나무 위에 걸려 있었어요", "나뭇가지는 너무 높았어요.", "나무가 너무 높아", "폴짝폴짝 뛰었지만 손이 닿지 않았어요",
             _words("새 부엉이 원숭이 까치"), "나무 위는 우리 집이나 마찬가지야", "{H:은} 나무 꼭대기까지 올라가서 {noun:을} 가져다주었어요."),
    Obstacle("넓은 강 건너편에 있었어요", "다리도 없고 물살도 빨랐어요.", "강을 건널 수가 없어", "강물에 발을 넣었지만 물은 차갑고 깊었어요",
             _words("거북이 비버 수달 백조"), "나는 누구보다 헤엄을 잘 쳐", "{H:은} 강을 헤엄쳐 건너가서 {noun:을} 가져왔어요."),
    Obstacle("깊은 구덩이 속에 떨어져 있었어요", "구덩이는 좁고 어두웠어요.", "구덩이가 너무 깊어", "팔을 뻗었지만 바닥에 닿지 않았어요",
             _words("두더지 거미 지렁이"), "땅속이라면 내가 잘 알아", "{H:은} 구덩이 속으로 내려가 {noun:을} 실에 묶었고, 둘이 함께 끌어 올렸어요."),
    Obstacle("어두운 동굴 속에 있었어요", "동굴에는 빛이 하나도 들지 않았어요.", "동굴이 너무 어두워", "동굴에 들어갔지만 무서워서 다시 뛰어나왔어요",
             _words("반딧불이 박쥐"), "어둠은 내 친구야", "{H:은} 앞장서서 길을 밝혔고, 동굴 끝에서 {noun:을} 찾았어요."),
    Obstacle("무거운 바위 밑에 깔려 있었어요", "끝만 겨우 보였어요.", "바위가 너무 무거워", "힘껏 바위를 밀었지만 꿈쩍도 하지 않았어요",
             _words("코끼리 황소 말 하마"), "나는 힘이 아주 세", "{H:은} 바위를 한 번에 굴려 버리고 {noun:을} 꺼내 주었어요."),
    Obstacle("가시덤불에 걸려 있었어요", "가시는 바늘처럼 뾰족했어요.", "가시가 너무 아파", "손을 뻗었지만 가시에 찔렸어요",
             _words("염소 도마뱀 멧돼지"), "가시는 하나도 무섭지 않아", "{H:은} 가시 사이로 들어가서 {noun:을} 물고 나왔어요."),
]


@dataclass(frozen=True)
class Recipe:
    name: str
    noun: Word
    has: Word
    lacks: Word
    givers: tuple[Word, ...]
    made: str
    end: str


RECIPES = [
    Recipe("달콤한", Word("케이크"), Word("밀가루"), Word("꿀"), _words("꿀벌 반달곰"), "반죽을 섞어 오븐에 구웠어요", "케이크는 아주 달콤했고, 모두 한 조각씩 먹었어요."),
    Recipe("따끈한", Word("수프"), Word("소금"), Word("당근"), _words("당나귀 농부"), "당근을 썰어 천천히 끓였어요", "수프는 따뜻했고, 그날 밤은 아무도 배고프지 않았어요."),
    Recipe("포근한", Word("스웨터"), Word("바늘"), Word("털실"), _words("염소 양치기"), "사흘 밤낮으로 뜨개질을 했어요", "스웨터 덕분에 겨울이 춥지 않았어요."),
    Recipe("멋진", Word("연"), Word("종이"), Word("실"), _words("거미 재봉사"), "종이에 실을 묶고 바람을 기다렸어요", "연은 가장 높은 나무보다 더 높이 올라갔어요."),
    Recipe("튼튼한", Word("배"), Word("밧줄"), Word("나무"), _words("비버 목수"), "저녁까지 톱질과 망치질을 했어요", "배는 호수 위에 백조처럼 떠 있었어요."),
    Recipe("예쁜", Word("카드"), Word("종이"), Word("물감"), _words("나비 화가"), "해와 집과 무지개를 그렸어요", "그것은 세상에서 가장 아름다운 카드였어요."),
]
FAVORS = [("물을 길어 주면", "물을 길어 주었어요"), ("사과를 따 주면", "사과를 한 바구니 따 주었어요"), ("집을 청소해 주면", "집을 깨끗이 청소해 주었어요"),
          ("장작을 모아 주면", "장작을 모아 주었어요"), ("아이들을 돌봐 주면", "아이들을 돌봐 주었어요")]


@dataclass(frozen=True)
class Skill:
    verb: str  # before "싶었어요"
    learn: str  # the verb as a noun
    able: str  # "… 수 있어"
    fail: str
    teachers: tuple[Word, ...]
    advice: str
    success: str


SKILLS = [
    Skill("헤엄을 치고", "헤엄치는 법", "헤엄칠", "물만 잔뜩 먹었어요", _words("수달 물개"), "누워서 천천히 숨을 쉬어 봐", "호수 건너편까지 헤엄쳐 갔어요"),
    Skill("춤을 추고", "춤추는 법", "춤출", "자기 발에 걸려 넘어졌어요", _words("나비 백조 두루미"), "눈을 감고 먼저 음악을 들어 봐", "모두가 박수를 칠 만큼 멋지게 춤을 추었어요"),
    Skill("노래를 부르고", "노래하는 법", "노래할", "낡은 문 같은 소리만 났어요", _words("꾀꼬리 귀뚜라미"), "작은 소리로 천천히 시작해 봐", "바람도 조용해질 만큼 아름답게 노래했어요"),
    Skill("나무에 오르고", "나무에 오르는 법", "나무에 오를", "미끄러져 무릎을 다쳤어요", _words("원숭이 까치"), "아래를 보지 말고 위를 봐", "오래된 참나무 꼭대기까지 올라갔어요"),
    Skill("스케이트를 타고", "스케이트 타는 법", "스케이트를 탈", "얼음 위에 엉덩방아를 찧었어요", _words("펭귄 거위"), "무릎을 굽히고 앞을 봐", "한 번도 넘어지지 않고 연못을 건넜어요"),
    Skill("글을 읽고", "글 읽는 법", "글을 읽을", "글자가 모두 뒤섞여 보였어요", _words("부엉이 선생님"), "하루에 한 글자씩 배워 봐", "책 한 쪽을 틀리지 않고 읽었어요"),
    Skill("그림을 그리고", "그림 그리는 법", "그림을 그릴", "물감을 바닥에 쏟고 말았어요", _words("화가 공작새"), "그리기 전에 오래 바라봐", "빛나는 저녁노을을 그렸어요"),
]
JOURNEYS = [
    (Word("바다"), "파도 이야기를 들었기", "바다는 끝없이 파랬고, 파도가 반갑게 다가왔어요."),
    (Word("산꼭대기"), "위에서 보는 세상이 궁금했기", "산꼭대기에서 보니 집들이 콩알만 했어요."),
    (Word("큰 폭포"), "꿈속에서 폭포 소리를 들었기", "폭포 앞에는 커다란 무지개가 떠 있었어요."),
    (Word("겨울 축제"), "천 개의 불빛이 켜진다고 했기", "천 개의 불빛이 반짝이고 음악이 흘렀어요."),
    (Word("해바라기 들판"), "그림에서 그곳을 보았기", "해바라기들이 모두 해를 보고 서 있었어요."),
    (Word("새들의 섬"), "세상의 모든 새가 모인다고 했기", "섬에는 나뭇잎보다 많은 새가 있었어요."),
]
ROADS = [
    ("넓은 강이 길을 막았고 다리는 부서져 있었어요", "강을 건널 수가 없어", _words("거북이 백조 어부"), "내 등에 타", "{H:은} {N:을} 업고 강을 건넜어요."),
    ("밤이 되었고 길은 어두운 숲으로 이어졌어요", "너무 어두워서 무서워", _words("반딧불이 부엉이"), "내가 앞에서 길을 밝혀 줄게", "{H:은} 아침이 올 때까지 나무 사이로 길을 밝혀 주었어요."),
    ("짙은 안개가 끼어 길이 사라졌어요", "길을 잃었어", _words("기러기 까마귀 목동"), "나는 이 길을 잘 알아", "{H:은} 안개 속에서 {N:을} 한 걸음 한 걸음 이끌어 주었어요."),
    ("폭풍이 불고 차가운 비가 내렸어요", "너무 춥고 다 젖었어", _words("반달곰 두더지 오소리"), "우리 집으로 들어와", "{H:은} 불을 피우고 따뜻한 차를 주었고, 비가 그치자 함께 길을 떠났어요."),
    ("길이 너무 가팔라서 자꾸 미끄러졌어요", "길이 너무 가팔라", _words("염소 당나귀 말"), "나를 꼭 잡아", "{H:은} {N:을} 위로 끌어 주었고, 곧 길이 평평해졌어요."),
]


@dataclass(frozen=True)
class Plot:
    kind: Word
    name: Word
    adjective: str
    place: str
    helper: Word
    helper_name: Word
    wish: str  # before "여우": "빨간 연을 갖고 싶은"
    wanted: str  # as an answer
    sentences: tuple[str, ...]
    short: tuple[str, ...]


def make_plot(rng: Random) -> Plot:
    """Everything one story needs, its sentences included."""
    pick = rng.choice
    kind, name = pick(HEROES), pick(NAMES)
    helper_name = pick([n for n in NAMES if n != name])
    env = dict(N=name, H=helper_name, kind=kind, adj=pick(ADJECTIVES), place=pick(list(PLACES)), family=pick(FAMILIES),
               habit=pick(HABITS))
    builder = pick([_find, _find, _make, _learn, _travel])
    helper, wish, wanted, middle, short_middle = builder(rng, env)
    opening = _opening(rng, env)
    fill = lambda lines: tuple(line.format(**env) for line in lines)
    return Plot(kind, name, env["adj"], env["place"], helper, helper_name, wish, wanted.format(**env),
                fill(opening + middle + _ending(rng)), fill(opening[:1] + short_middle))


def _opening(rng: Random, env: dict) -> list[str]:
    first = rng.choice(["옛날 옛적에 {N:이라는} {adj} {kind:이} 살았어요.", "옛날 옛적에 {place}에 {N:이라는} {adj} {kind:이} 살았어요.",
                        "옛날에 {adj} {kind} 한 명이 살았어요. 이름은 {N:이었}어요." if env["kind"] in ("소녀", "소년") else
                        "옛날에 {adj} {kind} 한 마리가 살았어요. 이름은 {N:이었}어요.",
                        "{N:은} {adj} {kind:이었}어요.", "{place}에 {N:이라는} {adj} {kind:이} 살고 있었어요."])
    lives = [] if "{place}" in first else [rng.choice(["{N:은} {place}에서 {family:과} 함께 살았어요.", "{N:은} {place}에서 살았어요."])]
    more = [rng.choice(PLACES[env["place"]]), rng.choice(["{N:은} 날마다 {habit}.", "아침이면 {N:은} {habit}."])]
    return [first, *lives, *[s for s in more if rng.random() < 0.55]]


def _meeting(rng: Random, helper: Word) -> list[str]:
    pick = rng.choice
    return [pick([f"그때 {{H:이라는}} {helper:이} 지나갔어요.", f"바로 그때 {{N:은}} {{H:이라는}} {helper:을} 만났어요.",
                  f"마침 {{H:이라는}} {helper:이} 그 모습을 보았어요.", f"가까운 곳에 {{H:이라는}} {helper:이} 살고 있었어요."]),
            pick(['"왜 그렇게 슬퍼하니?" {H:이} 물었어요.', '"무슨 일이니?" {H:이} 물었어요.', '"내가 도와줄까?" {H:이} 물었어요.', '"{N:아}, 왜 울고 있니?" {H:이} 물었어요.'])]


def _sadness(rng: Random) -> list[str]:
    lines = ["{N:은} 주저앉아 한숨을 쉬었어요.", "{N:은} 무척 슬펐어요.", "{N}의 눈에서 눈물이 흘렀어요.", "{N:은} 어떻게 해야 할지 몰랐어요."]
    return [rng.choice(lines)] if rng.random() < 0.6 else []


def _comfort(rng: Random) -> str:
    return rng.choice(["걱정하지 마", "울지 마", "내가 도와줄게", "괜찮아"])


def _find(rng: Random, env: dict):
    pick = rng.choice
    thing, obstacle = pick(THINGS), pick(OBSTACLES)
    helper = pick([h for h in obstacle.helpers if h != env["kind"]])
    env["noun"], full = thing.noun, Word(f"{thing.name} {thing.noun}")
    gift = rng.random() < 0.25
    wish = [f"{{N:은}} {full:을} 무척 갖고 싶었어요." if rng.random() < 0.5 else f"{{N}}의 소원은 {full:을} 갖는 것이었어요.",
            "{family}에게 선물하고 싶었거든요." if gift else f"{{N:은}} {thing.reason} 싶었어요."]
    seen = pick([f"어느 날 {{N:은}} {full:을} 보았어요. 그런데 {thing.noun:은} {obstacle.where}.",
                 f"어느 맑은 날, {{N:은}} 드디어 {full:을} 찾았어요. 하지만 {thing.noun:은} {obstacle.where}."])
    answer = f'"{thing.noun:을} 갖고 싶은데 {obstacle.short}." {{N:이}} 말했어요.'
    promise = f'"{_comfort(rng)}. {obstacle.promise}." {{H:이}} 말했어요.'
    thanks = pick([f'"고마워, {{H:아}}! 드디어 {thing.noun:을} 찾았어!" {{N:이}} 외쳤어요.', f'"내 {thing.noun:이야}! 고마워, {{H:아}}!" {{N:이}} 말했어요.'])
    result = f"저녁에 {{N:은}} {thing.noun:을} {{family}}에게 선물했어요. {{family:은}} {{N:을}} 꼭 안아 주었어요." if gift else pick(
        [f"그날부터 {{N:은}} {thing.used}.", f"기쁜 마음으로 {{N:은}} {thing.used}."])
    middle = [*wish, seen, obstacle.problem, f"{{N:은}} {obstacle.attempt}.", *_sadness(rng), *_meeting(rng, helper), answer, promise,
              obstacle.help, thanks, result]
    short = [*wish, seen, f"그때 {{H:이라는}} {helper:이} 도와주러 왔어요.", obstacle.help, "{N:은} 무척 기뻤어요."]
    return helper, f"{full:을} 갖고 싶은", f"{{N:은}} {full:을} 갖고 싶었어요.", middle, short


def _make(rng: Random, env: dict):
    pick = rng.choice
    recipe, (favor, favor_done) = pick(RECIPES), pick(FAVORS)
    helper = pick([h for h in recipe.givers if h != env["kind"]])
    full = Word(f"{recipe.name} {recipe.noun}")
    wish = pick([f"어느 날 {{N:은}} {{family}}에게 {full:을} 만들어 주고 싶었어요.", f"{{family}}의 생일이 되어서 {{N:은}} {full:을} 만들기로 했어요."])
    lack = pick([f"{recipe.has:은} 있었지만 {recipe.lacks:이} 없었어요.", f"그런데 집에는 {recipe.has}만 있고 {recipe.lacks:이} 없었어요."])
    search = pick([f"{{N:은}} 온 집을 뒤졌지만 {recipe.lacks:은} 나오지 않았어요.", f"이웃들에게 물어보았지만 아무도 {recipe.lacks:을} 가지고 있지 않았어요."])
    answer = f'"{full:을} 만들고 싶은데 {recipe.lacks:이} 없어." {{N:이}} 말했어요.'
    deal = f'"나에게 {recipe.lacks:이} 있어. 네가 {favor} 나누어 줄게." {{H:이}} 말했어요.'
    work = f"{{N:은}} 기꺼이 {favor_done}."
    gave = pick([f"{{H:은}} 약속대로 {recipe.lacks:을} 주었어요.", f"그러자 {{H:은}} {{N}}에게 {recipe.lacks:을} 듬뿍 주었어요."])
    made = f"집에 돌아온 {{N:은}} {recipe.made}."
    middle = [wish, lack, search, *_sadness(rng), *_meeting(rng, helper), answer, deal, work, gave, made, recipe.end]
    short = [wish, lack, f"그때 {{H:이라는}} {helper:이} {recipe.lacks:을} 나누어 주었어요.", made, recipe.end]
    return helper, f"{full:을} 만들고 싶은", f"{{N:은}} {full:을} 만들고 싶었어요.", middle, short


def _learn(rng: Random, env: dict):
    pick = rng.choice
    skill = pick(SKILLS)
    helper = pick([h for h in skill.teachers if h != env["kind"]])
    wish = pick([f"{{N:은}} {skill.verb} 싶었어요.", f"{{N}}에게는 꿈이 하나 있었어요. {{N:은}} {skill.verb} 싶었어요."])
    attempt = pick([f"어느 날 혼자 해 보았지만 {skill.fail}.", f"몇 번이고 해 보았지만 {skill.fail}."])
    laugh = [pick(["친구들은 {N:을} 놀렸어요.", '"너는 절대 못 할 거야." 친구들이 말했어요.'])] if rng.random() < 0.7 else []
    answer = f'"{skill.verb} 싶은데 잘 안 돼." {{N:이}} 말했어요.'
    advice = f'"{_comfort(rng)}. {skill.advice}." {{H:이}} 말했어요.'
    practice = pick(["둘은 날마다 함께 연습했어요.", f"{{H:은}} {{N}}에게 {skill.learn}을 가르쳐 주었어요.", "{N:은} 저녁마다 {H:과} 함께 연습했어요."])
    success = pick([f"여름이 끝날 무렵, {{N:은}} {skill.success}.", f"그러던 어느 날, {{N:은}} {skill.success}."])
    proud = f'"나도 이제 {skill.able} 수 있어!" {{N:이}} 외쳤어요.'
    middle = [wish, attempt, *laugh, *_sadness(rng), *_meeting(rng, helper), answer, advice, practice, success, proud]
    short = [wish, attempt, f"그때 {{H:이라는}} {helper:이} {skill.learn}을 가르쳐 주었어요.", success]
    return helper, f"{skill.verb} 싶은", f"{{N:은}} {skill.verb} 싶었어요.", middle, short


def _travel(rng: Random, env: dict):
    pick = rng.choice
    (goal, reason, arrival), (problem, short_problem, helpers, promise, help_) = pick(JOURNEYS), pick(ROADS)
    helper = pick([h for h in helpers if h != env["kind"]])
    wish = pick([f"{{N:은}} {goal:을} 보고 싶었어요. {reason} 때문이에요.", f"{{N:은}} {goal:을} 한 번도 본 적이 없었어요. 하지만 밤마다 {goal:을} 보는 꿈을 꾸었어요."])
    start = pick(["어느 날 아침, {N:은} 빵을 싸서 길을 떠났어요.", "봄이 오자 {N:은} 인사를 하고 길을 나섰어요."])
    answer = f'"{goal:을} 보고 싶은데 {short_problem}." {{N:이}} 말했어요.'
    said = f'"{_comfort(rng)}. {promise}." {{H:이}} 말했어요.'
    middle = [wish, start, f"그런데 {problem}.", *_sadness(rng), *_meeting(rng, helper), answer, said, help_,
              f"드디어 {{N:은}} {goal:을} 보게 되었어요.", arrival, pick(["{N:은} 너무나 행복했어요.", "{N:은} 눈을 뗄 수가 없었어요.", '"생각보다 훨씬 아름다워!" {N:이} 말했어요.'])]
    short = [wish, start, f"그런데 {problem}.", f"그때 {{H:이라는}} {helper:이} 도와주었어요.", help_, arrival]
    return helper, f"{goal:을} 보고 싶은", f"{{N:은}} {goal:을} 보고 싶었어요.", middle, short


def _ending(rng: Random) -> list[str]:
    pick = rng.choice
    friends = pick(["{N:과} {H:은} 가장 친한 친구가 되었어요.", "그 뒤로 {N:과} {H:은} 늘 함께 놀았어요.", "{N:은} {H:을} 집으로 초대했고, 둘은 별이 뜰 때까지 이야기했어요.",
                    "{H:은} 손을 흔들며 다시 오겠다고 약속했어요."])
    moral = pick(["{N:은} 혼자서 모든 것을 할 필요는 없다는 것을 배웠어요.", "{N:은} {H}의 도움을 잊지 않았어요.", "{N:은} 친구가 금보다 귀하다는 것을 알게 되었어요.",
                  "나중에 누가 슬퍼하면 {N:이} 가장 먼저 도와주었어요."])
    close = pick(["그날 밤 {N:은} 웃으며 잠이 들었어요.", "모두 오래오래 행복하게 살았어요."])
    return [friends, *([moral] if rng.random() < 0.7 else []), *([close] if rng.random() < 0.6 else [])]
