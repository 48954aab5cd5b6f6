-- The film tables that a Cinegraph database has (state of August 2025), with indexes and system profiles; only those
-- that we read. Names, columns and types are the original's: `inserted_at`/`updated_at` hold UTC, have no time zone
-- and no default.
--
-- All or nothing: where another application made film tables, none of ours is put beside them, since its own later
-- migrations may create one of the same name. Indexes that we miss there are built CONCURRENTLY afterwards.
DO $$
BEGIN
    IF NOT (SELECT owns_catalogue FROM cinegraph.installation) THEN
        RETURN;
    END IF;

    CREATE TABLE public.movies (
        id                bigserial PRIMARY KEY,
        tmdb_id           integer NOT NULL,
        imdb_id           varchar(255),
        title             varchar(255) NOT NULL,
        original_title    varchar(255),
        tagline           varchar(255),
        homepage          varchar(255),
        status            varchar(255),
        original_language varchar(255),
        overview          text,
        release_date      date,
        runtime           integer,
        adult             boolean DEFAULT false,
        backdrop_path     varchar(255),
        poster_path       varchar(255),
        collection_id     integer,
        origin_country    varchar(255)[] DEFAULT '{}',
        tmdb_data         jsonb,
        omdb_data         jsonb,
        import_status     varchar(255) NOT NULL DEFAULT 'full',
        canonical_sources jsonb DEFAULT '{}',
        slug              varchar(255),
        inserted_at       timestamp(0) NOT NULL,
        updated_at        timestamp(0) NOT NULL
    );

    CREATE TABLE public.external_metrics (
        id          bigserial PRIMARY KEY,
        movie_id    bigint NOT NULL REFERENCES public.movies ON DELETE CASCADE,
        source      varchar(50) NOT NULL,
        metric_type varchar(100) NOT NULL,
        value       double precision,
        text_value  text,
        metadata    jsonb DEFAULT '{}',
        fetched_at  timestamp(0) NOT NULL,
        valid_until timestamp(0),
        inserted_at timestamp(0) NOT NULL,
        updated_at  timestamp(0) NOT NULL
    );

    CREATE TABLE public.people (
        id                   bigserial PRIMARY KEY,
        tmdb_id              integer NOT NULL,
        imdb_id              varchar(255),
        name                 varchar(255) NOT NULL,
        biography            text,
        birthday             date,
        deathday             date,
        place_of_birth       varchar(255),
        profile_path         varchar(255),
        known_for_department varchar(255),
        gender               integer,
        popularity           double precision,
        adult                boolean DEFAULT false,
        inserted_at          timestamp(0) NOT NULL,
        updated_at           timestamp(0) NOT NULL
    );

    CREATE TABLE public.movie_credits (
        id           bigserial PRIMARY KEY,
        movie_id     bigint NOT NULL REFERENCES public.movies ON DELETE CASCADE,
        person_id    bigint NOT NULL REFERENCES public.people ON DELETE CASCADE,
        credit_id    varchar(255) NOT NULL,
        credit_type  varchar(255) NOT NULL,
        department   varchar(255),
        job          varchar(255),
        character    varchar(255),
        cast_order   integer,
        profile_path varchar(255),
        inserted_at  timestamp(0) NOT NULL,
        updated_at   timestamp(0) NOT NULL
    );

    CREATE TABLE public.person_metrics (
        id            bigserial PRIMARY KEY,
        person_id     bigint NOT NULL REFERENCES public.people ON DELETE CASCADE,
        metric_type   varchar(255) NOT NULL,
        score         double precision,
        components    jsonb DEFAULT '{}',
        metadata      jsonb DEFAULT '{}',
        calculated_at timestamp(0) NOT NULL,
        valid_until   timestamp(0),
        inserted_at   timestamp(0) NOT NULL,
        updated_at    timestamp(0) NOT NULL
    );

    CREATE TABLE public.festival_organizations (
        id           bigserial PRIMARY KEY,
        name         varchar(255) NOT NULL,
        abbreviation varchar(255),
        country      varchar(255),
        website      varchar(255),
        founded_year integer,
        metadata     jsonb DEFAULT '{}',
        inserted_at  timestamp(0) NOT NULL,
        updated_at   timestamp(0) NOT NULL
    );

    CREATE TABLE public.festival_ceremonies (
        id              bigserial PRIMARY KEY,
        organization_id bigint NOT NULL REFERENCES public.festival_organizations ON DELETE CASCADE,
        year            integer NOT NULL,
        ceremony_number integer,
        name            varchar(255),
        location        varchar(255),
        date            date,
        data            jsonb DEFAULT '{}',
        source_metadata jsonb DEFAULT '{}',
        data_source     varchar(50) NOT NULL DEFAULT 'unknown',
        source_url      varchar(255),
        scraped_at      timestamp(0),
        inserted_at     timestamp(0) NOT NULL,
        updated_at      timestamp(0) NOT NULL
    );

    CREATE TABLE public.festival_categories (
        id              bigserial PRIMARY KEY,
        organization_id bigint NOT NULL REFERENCES public.festival_organizations ON DELETE CASCADE,
        name            varchar(255) NOT NULL,
        tracks_person   boolean DEFAULT false,
        category_type   varchar(255),
        metadata        jsonb DEFAULT '{}',
        inserted_at     timestamp(0) NOT NULL,
        updated_at      timestamp(0) NOT NULL
    );

    -- A win is one row with won = true, so the count of rows includes the wins.
    CREATE TABLE public.festival_nominations (
        id          bigserial PRIMARY KEY,
        ceremony_id bigint NOT NULL REFERENCES public.festival_ceremonies ON DELETE CASCADE,
        category_id bigint NOT NULL REFERENCES public.festival_categories ON DELETE RESTRICT,
        movie_id    bigint NOT NULL REFERENCES public.movies ON DELETE CASCADE,
        person_id   bigint REFERENCES public.people ON DELETE SET NULL,
        won         boolean DEFAULT false,
        prize_name  varchar(255),
        details     jsonb DEFAULT '{}',
        inserted_at timestamp(0) NOT NULL,
        updated_at  timestamp(0) NOT NULL,
        CONSTRAINT must_have_nominee CHECK (movie_id IS NOT NULL OR person_id IS NOT NULL)
    );

    CREATE TABLE public.genres (
        id          bigserial PRIMARY KEY,
        tmdb_id     integer NOT NULL,
        name        varchar(255) NOT NULL,
        inserted_at timestamp(0) NOT NULL,
        updated_at  timestamp(0) NOT NULL
    );

    CREATE TABLE public.production_countries (
        id          bigserial PRIMARY KEY,
        iso_3166_1  varchar(255) NOT NULL,
        name        varchar(255) NOT NULL,
        inserted_at timestamp(0) NOT NULL,
        updated_at  timestamp(0) NOT NULL
    );

    CREATE TABLE public.movie_genres (
        movie_id bigint NOT NULL REFERENCES public.movies ON DELETE CASCADE,
        genre_id bigint NOT NULL REFERENCES public.genres ON DELETE CASCADE
    );

    CREATE TABLE public.movie_production_countries (
        movie_id              bigint NOT NULL REFERENCES public.movies ON DELETE CASCADE,
        production_country_id bigint NOT NULL REFERENCES public.production_countries ON DELETE CASCADE
    );

    -- What a list is called. Who is on it stands in movies.canonical_sources alone.
    CREATE TABLE public.movie_lists (
        id                 bigserial PRIMARY KEY,
        source_key         varchar(255) NOT NULL,
        name               varchar(500) NOT NULL,
        description        text,
        source_type        varchar(50) NOT NULL,
        source_url         text NOT NULL,
        source_id          varchar(255),
        category           varchar(255),
        active             boolean DEFAULT true,
        tracks_awards      boolean DEFAULT false,
        last_import_at     timestamp(0),
        last_import_status varchar(50),
        last_movie_count   integer DEFAULT 0,
        total_imports      integer DEFAULT 0,
        metadata           jsonb DEFAULT '{}',
        inserted_at        timestamp(0) NOT NULL,
        updated_at         timestamp(0) NOT NULL
    );

    CREATE TABLE public.metric_weight_profiles (
        id               bigserial PRIMARY KEY,
        name             varchar(255) NOT NULL,
        description      text,
        weights          jsonb NOT NULL DEFAULT '{}',
        category_weights jsonb DEFAULT '{"ratings": 1.0, "awards": 1.0, "financial": 1.0, "cultural": 1.0}',
        usage_count      integer DEFAULT 0,
        last_used_at     timestamp(0),
        active           boolean DEFAULT true,
        is_default       boolean DEFAULT false,
        is_system        boolean DEFAULT false,
        inserted_at      timestamp(0) NOT NULL,
        updated_at       timestamp(0) NOT NULL
    );

    CREATE UNIQUE INDEX movies_tmdb_id_index ON public.movies (tmdb_id);
    CREATE UNIQUE INDEX movies_slug_index ON public.movies (slug);
    CREATE INDEX movies_imdb_id_index ON public.movies (imdb_id);
    CREATE INDEX movies_release_date_index ON public.movies (release_date);
    CREATE INDEX movies_canonical_sources_index ON public.movies USING gin (canonical_sources);
    -- Searches for a part of a title. Where the server lacks the extension, or we the right to it, they read all titles.
    BEGIN
        CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA public;
        CREATE INDEX movies_title_trgm_index ON public.movies USING gin (title public.gin_trgm_ops);
    EXCEPTION WHEN undefined_file OR undefined_object OR feature_not_supported OR insufficient_privilege THEN
        RAISE NOTICE 'pg_trgm is not to be had (%): searching titles will be slow in large catalogues', SQLERRM;
    END;

    CREATE UNIQUE INDEX external_metrics_movie_source_type_index
        ON public.external_metrics (movie_id, source, metric_type);

    CREATE UNIQUE INDEX people_tmdb_id_index ON public.people (tmdb_id);

    CREATE UNIQUE INDEX movie_credits_credit_id_index ON public.movie_credits (credit_id);
    CREATE INDEX movie_credits_movie_id_person_id_index ON public.movie_credits (movie_id, person_id);
    CREATE INDEX movie_credits_person_id_index ON public.movie_credits (person_id);

    CREATE UNIQUE INDEX person_metrics_person_id_metric_type_index
        ON public.person_metrics (person_id, metric_type);

    CREATE UNIQUE INDEX festival_organizations_name_index ON public.festival_organizations (name);
    CREATE UNIQUE INDEX festival_ceremonies_organization_id_year_index
        ON public.festival_ceremonies (organization_id, year);
    CREATE UNIQUE INDEX festival_categories_organization_id_name_index
        ON public.festival_categories (organization_id, name);
    -- The original's key (ceremony, category, film) loses the second nominee of a category; ours has the name too.
    CREATE UNIQUE INDEX festival_nominations_unique_nomination_idx
        ON public.festival_nominations (ceremony_id, category_id, movie_id, (coalesce(details ->> 'nominee_names', '')));
    CREATE INDEX festival_nominations_movie_id_won_index ON public.festival_nominations (movie_id, won);
    CREATE INDEX festival_nominations_person_id_index ON public.festival_nominations (person_id);
    CREATE INDEX festival_nominations_category_id_index ON public.festival_nominations (category_id);

    CREATE UNIQUE INDEX genres_tmdb_id_index ON public.genres (tmdb_id);
    CREATE UNIQUE INDEX production_countries_iso_3166_1_index ON public.production_countries (iso_3166_1);
    CREATE UNIQUE INDEX movie_genres_movie_id_genre_id_index ON public.movie_genres (movie_id, genre_id);
    CREATE INDEX movie_genres_genre_id_index ON public.movie_genres (genre_id);
    CREATE UNIQUE INDEX movie_production_countries_pair_index
        ON public.movie_production_countries (movie_id, production_country_id);
    CREATE INDEX movie_production_countries_production_country_id_index
        ON public.movie_production_countries (production_country_id);

    CREATE UNIQUE INDEX movie_lists_source_key_index ON public.movie_lists (source_key);
    CREATE UNIQUE INDEX metric_weight_profiles_name_index ON public.metric_weight_profiles (name);
    CREATE UNIQUE INDEX only_one_default_profile ON public.metric_weight_profiles (is_default) WHERE is_default;

    INSERT INTO public.metric_weight_profiles
        (name, description, category_weights, is_default, is_system, inserted_at, updated_at)
    SELECT name, description, weights::jsonb, name = 'Balanced', true,
           now() AT TIME ZONE 'UTC', now() AT TIME ZONE 'UTC'
    FROM (VALUES
        ('Balanced', 'Every side of a film counts',
         '{"ratings": 0.40, "awards": 0.20, "financial": 0, "cultural": 0.20, "people": 0.20}'),
        ('Award Winner', 'What juries and academies honoured',
         '{"ratings": 0.25, "awards": 0.45, "financial": 0, "cultural": 0.20, "people": 0.10}'),
        ('Critics Choice', 'What reviewers praised',
         '{"ratings": 0.50, "awards": 0.15, "financial": 0, "cultural": 0.30, "people": 0.05}'),
        ('Crowd Pleaser', 'What audiences love and talk about',
         '{"ratings": 0.40, "awards": 0.10, "financial": 0.10, "cultural": 0.35, "people": 0.05}'),
        ('Cult Classic', 'What lasts, and who made it',
         '{"ratings": 0.40, "awards": 0.10, "financial": 0, "cultural": 0.35, "people": 0.15}')
    ) AS seed (name, description, weights);
END
$$;
