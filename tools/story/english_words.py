"""The words of the English half of the grammar."""

from __future__ import annotations

from dataclasses import dataclass

GIRLS = "Lily Mia Anna Rosa Ella Nora Ruby Zoe Clara Ida Luna Tess Molly Hazel Daisy Wendy Greta Poppy".split()
BOYS = "Tom Ben Max Leo Sam Finn Oscar Hugo Jack Theo Milo Otto Eddie Felix Ravi Toby Anton Louis".split()
HEROES = "girl boy fox rabbit bear mouse cat dog kitten puppy duck lamb deer hedgehog squirrel frog pony panda".split()
ADJECTIVES = "little small young curious brave shy kind cheerful clever gentle playful quiet".split()
FAMILIES = ["mother", "grandmother", "father", "grandfather", "two brothers", "three sisters", "aunt"]

PLACES = {
    "a green forest": ["The trees were so tall that they seemed to touch the clouds.",
                       "In the morning, the sun shone through the leaves like gold."],
    "a small village": ["All the houses had red roofs, and everyone knew everyone.",
                        "In the evening, the smell of fresh bread was in every street."],
    "a valley full of flowers": ["In spring, the whole valley was yellow and blue.",
                                 "Bees hummed there from morning to night."],
    "a house by the sea": ["At night, the sound of the waves came through the window.",
                           "White birds sat on the roof and called to the ships."],
    "a stable on an old farm": ["There was a big barn, and behind it a field of wheat.",
                    "A rooster woke everyone when the sun came up."],
    "a snowy mountain village": ["The snow lay on the roofs until the end of spring.",
                                 "Smoke rose from every chimney in the cold air."],
    "a garden behind a tall wall": ["Roses grew over the wall, and nobody could look in.",
                                    "In the middle there was a pond with golden fish."],
    "a busy town": ["The streets were full of carts, children and music.",
                    "A clock on the tower told everyone the time."],
    "a quiet meadow": ["A little stream ran through the grass and sang all day.",
                       "Butterflies danced over the grass when the sun was warm."],
    "a cottage at the edge of the woods": ["A lamp burned in its window every night.",
                                           "Behind it, a narrow path went into the trees."],
}
HABITS = ["played outside until it was dark", "picked flowers and berries", "counted the clouds in the sky",
          "sat under a tree and dreamed", "sang a song to the birds", "ran down to the water and back",
          "helped to sweep the floor", "watered the plants and talked to them"]


@dataclass(frozen=True)
class Thing:
    name: str  # with its article
    noun: str
    use: str  # after "wanted to"
    used: str  # after "{He}"


THINGS = [
    Thing("a red kite", "kite", "fly it high over the hills", "flew the kite high over the hills"),
    Thing("a blue ball", "ball", "throw it and catch it all day", "threw the ball and caught it all day"),
    Thing("a golden bell", "bell", "hear it ring every morning", "rang the bell every morning"),
    Thing("a warm hat", "hat", "wear it in the winter", "wore the hat all winter"),
    Thing("a silver key", "key", "open the old box at home", "opened the old box with the key and found a map inside"),
    Thing("a little drum", "drum", "play it at the spring party", "played the drum at the spring party"),
    Thing("a wooden boat", "boat", "sail it on the pond", "sailed the boat on the pond"),
    Thing("a picture book", "book", "look at it before going to sleep", "read the book every night before going to sleep"),
    Thing("a yellow umbrella", "umbrella", "walk in the rain and stay dry",
          "walked in the rain with the umbrella and stayed dry"),
    Thing("a shiny stone", "stone", "keep it on the window", "put the stone on the window, where it shone in the sun"),
    Thing("a soft blanket", "blanket", "sleep under it when it was cold", "slept warmly under the blanket"),
    Thing("a toy train", "train", "push it along the floor", "pushed the train along the floor and made it whistle"),
    Thing("a big red apple", "apple", "eat it for breakfast", "ate half of the apple and planted the seeds"),
    Thing("a paper lantern", "lantern", "carry it through the dark", "carried the lantern through the dark"),
    Thing("a tiny flute", "flute", "play a song for the moon", "played a song for the moon on the flute"),
    Thing("a green scarf", "scarf", "wear it on windy days", "wore the scarf on every windy day"),
]


@dataclass(frozen=True)
class Obstacle:
    where: str  # after "It lay" or the like
    problem: str
    short: str  # in the hero's own words
    attempt: str
    helpers: tuple[str, ...]
    promise: str  # in the helper's own words
    help: str  # with {H} and {noun}


OBSTACLES = [
    Obstacle("hung high up in a tall tree", "The branches were much too high.", "it hangs too high in the tree",
             "jumped and jumped, but {he} could not reach even the lowest branch",
             ("bird", "squirrel", "owl", "monkey", "cat"), "I am at home in the trees",
             "{H} went up to the very top, took hold of the {noun} and let it down gently"),
    Obstacle("lay on the other side of a wide river", "There was no bridge, and the water was fast.",
             "I cannot cross the river", "put one foot into the water, but it was cold and deep",
             ("duck", "beaver", "otter", "turtle", "swan"), "Nobody swims better than I do",
             "{H} swam across the river and came back with the {noun}"),
    Obstacle("lay at the bottom of a deep hole", "The hole was narrow and dark.", "it fell into a deep hole",
             "reached down as far as {he} could, but {his} arms were too short",
             ("mole", "mouse", "spider", "worm"), "I know every hole in the ground",
             "{H} crept down into the hole, tied a thread to the {noun}, and together they pulled it up"),
    Obstacle("lay in a dark cave", "Not a ray of light fell into it.", "it is too dark in the cave",
             "took three steps into the cave, but {he} could not see a thing and ran out again",
             ("firefly", "bat", "glowworm"), "The dark is my friend",
             "{H} went ahead and showed the way, and at the end of the cave they found the {noun}"),
    Obstacle("lay under a heavy rock", "Only a corner of it could be seen.", "the rock is too heavy for me",
             "pushed the rock with all {his} strength, but it did not move at all",
             ("bear", "elephant", "horse", "ox"), "I am the strongest around here",
             "{H} rolled the rock away with one push, and there was the {noun}, without a scratch"),
    Obstacle("was caught in a bush full of thorns", "The thorns were as long as needles.", "the thorns hurt me",
             "stretched out a hand, but the thorns pricked {him} and {he} cried out",
             ("hedgehog", "mouse", "goat", "lizard"), "Thorns do not scare me",
             "{H} slipped between the thorns and came out with the {noun}"),
]


@dataclass(frozen=True)
class Recipe:
    name: str
    noun: str
    has: str
    lacks: str
    givers: tuple[str, ...]
    made: str  # after "Then {he}"
    end: str


RECIPES = [
    Recipe("a honey cake", "cake", "flour and eggs", "honey", ("bee", "bear"),
           "mixed everything in a bowl and baked it", "The cake was sweet and golden, and everyone had a slice."),
    Recipe("a pot of soup", "soup", "water and salt", "carrots", ("rabbit", "donkey"),
           "cut the carrots and cooked them slowly", "The soup was hot and good, and nobody was hungry that night."),
    Recipe("a warm sweater", "sweater", "two needles", "wool", ("sheep", "goat"),
           "knitted for three days and three nights", "The sweater was soft, and winter was not cold any more."),
    Recipe("a paper kite", "kite", "paper and glue", "string", ("spider", "tailor"),
           "tied the string to the paper and waited for the wind", "The kite rose higher than the tallest tree."),
    Recipe("a little boat", "boat", "a sail and a rope", "wood", ("beaver", "carpenter"),
           "hammered and sawed until the evening", "The boat floated on the lake like a white swan."),
    Recipe("an apple pie", "pie", "apples and sugar", "butter", ("cow", "farmer"),
           "rolled out the dough and put it into the oven", "The whole house smelled of apples, and the pie was gone in no time."),
    Recipe("a birthday card", "card", "paper and a pencil", "colors", ("butterfly", "painter"),
           "painted a sun, a house and a rainbow", "It was the most beautiful card that anyone had ever seen."),
    Recipe("a nest of blankets", "nest", "an old basket", "feathers", ("goose", "hen"),
           "filled the basket and made it round", "That night, the nest was the softest bed in the world."),
]
# After "help me to", and after the hero's name.
FAVORS = {
    "carry water from the well": "carried water from the well", "pick apples": "picked a basket of apples",
    "clean the house": "cleaned the house", "find a lost shoe": "looked everywhere and found the lost shoe",
    "count the stars": "counted the stars until late", "gather wood for the fire": "gathered wood for the fire",
    "look after the little ones": "looked after the little ones",
}


@dataclass(frozen=True)
class Skill:
    verb: str
    ing: str
    fail: str
    teachers: tuple[str, ...]
    advice: str
    success: str


SKILLS = [
    Skill("swim", "swimming", "swallowed so much water that {he} had to cough", ("duck", "otter", "frog"),
          "Lie on your back and breathe slowly", "swam all the way to the other side of the lake"),
    Skill("dance", "dancing", "fell over {his} own feet", ("butterfly", "swan", "crane"),
          "Close your eyes and listen to the music first", "danced so lightly that everyone clapped"),
    Skill("sing", "singing", "sounded like an old door", ("bird", "nightingale", "cricket"),
          "Start softly and do not be afraid of a wrong note", "sang so well that even the wind grew quiet"),
    Skill("climb trees", "climbing", "slid down again and got a sore knee", ("squirrel", "monkey", "cat"),
          "Look up to the leaves and never down", "climbed to the top of the old oak"),
    Skill("skate", "skating", "sat down hard on the ice", ("penguin", "goose"),
          "Bend your knees and look ahead", "skated across the whole pond without falling"),
    Skill("read", "reading", "mixed up all the letters", ("owl", "mouse", "teacher"),
          "Learn one letter every day, and do not hurry", "read a whole page aloud without a mistake"),
    Skill("paint", "painting", "spilled the paint over the floor", ("painter", "butterfly"),
          "Look for a long time before you begin", "painted the sunset so well that it seemed to glow"),
    Skill("play the flute", "playing", "blew until {his} cheeks were red, but no sound came out",
          ("blackbird", "shepherd"), "Blow gently, as if you wanted to cool your soup",
          "played a tune that made the whole village smile"),
    Skill("whistle", "whistling", "only blew air", ("blackbird", "sailor"), "Make your lips round and small",
          "whistled a merry song all the way home"),
]


@dataclass(frozen=True)
class Journey:
    name: str
    reason: str
    arrival: str


JOURNEYS = [
    Journey("the sea", "{his} {elder} had told {him} about the waves",
            "The sea was blue and without an end, and the waves came to greet {him}."),
    Journey("the top of the mountain", "{he} wondered what the world looked like from above",
            "From the top of the mountain, the houses below were as small as crumbs."),
    Journey("the great waterfall", "{he} had heard it roar in {his} dreams",
            "The waterfall was as high as a tower, and a rainbow stood in front of it."),
    Journey("the winter festival", "everyone said that there were a thousand lights",
            "At the festival, a thousand lights were burning, and there was music everywhere."),
    Journey("the oldest tree in the world", "it was said to be a thousand years old",
            "The old tree was so wide that ten children could not reach around it."),
    Journey("the field of sunflowers", "{he} had seen it in a picture",
            "The sunflowers stood in long rows and turned their heads to the sun."),
    Journey("the island of birds", "all the birds of the world were said to meet there",
            "On the island, there were more birds than leaves on a tree."),
]


@dataclass(frozen=True)
class Road:
    problem: str
    short: str
    helpers: tuple[str, ...]
    promise: str
    help: str


ROADS = [
    Road("a wide river ran across the road, and the bridge was broken", "I cannot cross the river",
         ("turtle", "swan", "fisherman"), "Sit on my back", "{H} carried {N} safely through the water"),
    Road("night fell, and the road went through a dark forest", "it is too dark for me", ("firefly", "owl", "bat"),
         "I will go ahead of you", "{H} showed the way between the trees until the morning came"),
    Road("a thick fog came up, and the road was gone", "I have lost my way", ("goose", "crow", "shepherd"),
         "I know this land like my own home", "{H} led {N} through the fog, step by step"),
    Road("a storm began, and the rain was as cold as ice", "I am wet and cold", ("bear", "mole", "badger"),
         "Come into my house", "{H} made a fire and gave {N} some tea, and when the storm was over, they went on together"),
    Road("the path became so steep that {he} slid back at every step", "the path is too steep",
         ("goat", "donkey", "horse"), "Hold on to me", "{H} pulled {N} up, and soon the path was flat again"),
]
